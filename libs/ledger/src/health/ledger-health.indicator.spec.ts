import { Controller, Get } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { HealthCheckService, HealthIndicatorService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { IDLE_JOURNAL } from '../advice/fixtures/load.fixture.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import { WriteTally } from '../stats/write-tally.js';
import type { ProbeClock } from './database-probe.js';
import { LedgerHealthIndicator } from './ledger-health.indicator.js';
import type { LedgerVitals } from '../ports/ledger-vitals.interface.js';

const STATS: LedgerStats = {
  offered: 10,
  queued: 8,
  recovered: 0,
  received: 0,
  dropped: 2,
  sealed: 0,
  invalid: 0,
  written: 3,
  published: 0,
  duplicate: 0,
  deadLettered: 0,
  spilled: 0,
  retries: 0,
  conflicts: 0,
  notStored: 0,
  renewedUuids: 0,
  memoCut: 0,
  attributesDropped: 0,
  unknownFields: 0,
  callbackErrors: 0,
  mapperErrors: 0,
  waiting: 0,
  depth: 4,
  inFlight: 1,
  capacity: 10,
  bytes: 500,
  saturation: 0.4,
  oldestEntryAgeMs: 12,
  workers: { total: 2, busy: 1 },
  lastFlush: null,
  auto: null,
  journal: null,
  stream: null,
  ...new WriteTally().snapshot(),
  run: '00c0ffee',
  settings: {},
  state: 'running',
  reason: null,
  since: 0,
};

/** A ledger whose vital signs a test sets; two seconds pass between probes. */
class Patient implements LedgerVitals {
  stat: Partial<LedgerStats> = {};
  pingError: Error | undefined = undefined;
  retrying = false;
  stuck = false;
  trouble: string | undefined = undefined;
  notice: string | undefined = undefined;
  spillUnavailable = false;
  tableChecked = true;
  pings = 0;
  time = 0;

  writesTo: 'database' | 'stream' = 'database';

  stats = (): LedgerStats => ({ ...STATS, ...this.stat });
  async ping(): Promise<void> {
    this.pings++;
    if (this.pingError !== undefined) throw this.pingError;
  }
  sourceTrouble = (): string | undefined => this.trouble;
  sourceNotice = (): string | undefined => this.notice;
  isRetrying = (): boolean => this.retrying;
  isStuck = (): boolean => this.stuck;
  isSpillUnavailable = (): boolean => this.spillUnavailable;
  wasTableChecked = (): boolean => this.tableChecked;

  readonly clock: ProbeClock = {
    monotonic: () => (this.time += 2000),
    ...{ after: () => ({ cancel: () => undefined }), nextTurn: () => undefined },
  };
}

const AWAY = Object.assign(new Error('connect to postgres://u:hush@db'), { code: 'ECONNREFUSED' });
const MARKS = { healthDegradedAt: 0.8, healthDownAt: 0.95, healthRecoverAt: 0.6 };

const JOURNAL = { ...IDLE_JOURNAL, state: 'degraded', reason: 'ENOSPC', unsyncedRows: 3 } as const;

/** Each fault of the contract's table, with its text. */
const TROUBLES: Record<string, [sign: Partial<Patient>, reason: string]> = {
  none: [{}, ''],
  filling: [{ stat: { saturation: 0.8 } }, 'the channel is 80 % full'],
  saturated: [{ stat: { saturation: 0.95 } }, 'the channel is 95 % full'],
  full: [{ stat: { saturation: 1 } }, 'the channel is 100 % full'],
  'callers wait': [{ stat: { waiting: 1 } }, 'the channel is full'],
  'database away': [{ pingError: AWAY }, 'the database does not answer (ECONNREFUSED)'],
  'stream away': [
    { trouble: 'no answer of nats://u:hush@n1' },
    'nothing comes from the stream: no answer of nats://***@n1',
  ],
  unread: [{ notice: '3 messages wait' }, '3 messages wait'],
  halted: [
    { stat: { state: 'halted', reason: 'no table' } },
    'the server refuses every batch: no table',
  ],
  'halted by a batch': [
    { stat: { state: 'halted', reason: 'the server refuses every batch: gone (42P01)' } },
    'the server refuses every batch: gone (42P01)',
  ],
  draining: [{ stat: { state: 'draining' } }, 'the process is stopping (draining)'],
  sealed: [{ stat: { state: 'sealed' } }, 'the process is stopping (sealed)'],
  stuck: [{ stuck: true }, 'the workers make no progress'],
  'stuck without database': [{ stuck: true, pingError: AWAY }, 'the database does not answer'],
  retrying: [{ retrying: true }, 'the last attempt failed and is being retried'],
  'no spill': [{ spillUnavailable: true }, 'the spill directory cannot be written'],
  'not journaled': [
    { stat: { journal: { ...JOURNAL, notDurable: 12 } } },
    "the journal can't be written (ENOSPC): entries are in memory only, 12 calls continued without it",
  ],
  unchecked: [{ tableChecked: false, stat: { state: 'starting' } }, 'the table has not'],
};

type Endpoint = (indicator: LedgerHealthIndicator) => Promise<Record<'ledger', { status: string }>>;
const isHealthy: Endpoint = (indicator) => indicator.isHealthy('ledger');
const isReady: Endpoint = (indicator) => indicator.isReady('ledger');
const isLive: Endpoint = (indicator) => indicator.isLive('ledger');
const isStarted: Endpoint = (indicator) => indicator.isStarted('ledger');

function indicatorOf(patient: Patient, overflow: 'drop' | 'block' = 'drop'): LedgerHealthIndicator {
  const service = new HealthIndicatorService();
  return new LedgerHealthIndicator(service, patient, { ...MARKS, overflow }, patient.clock);
}

function patientWith(trouble: string): Patient {
  return Object.assign(new Patient(), TROUBLES[trouble]?.[0]);
}

async function expectStatus(trouble: string, endpoint: Endpoint, status: string): Promise<void> {
  const { ledger } = await endpoint(indicatorOf(patientWith(trouble)));
  expect(ledger.status).toBe(status);
  if (status === 'up') expect(ledger).not.toHaveProperty('reason');
  else expect(ledger).toHaveProperty('reason', expect.stringContaining(TROUBLES[trouble]![1]));
}

describe('isHealthy', () => {
  it.each([
    ['none', 'up'],
    ['filling', 'degraded'],
    ['saturated', 'down'],
    ['full', 'down'],
    ['database away', 'down'],
    ['stream away', 'down'],
    ['unread', 'degraded'],
    ['halted', 'down'],
    ['draining', 'down'],
    ['sealed', 'down'],
    ['stuck', 'down'],
    ['retrying', 'degraded'],
    ['no spill', 'degraded'],
    ['not journaled', 'degraded'],
    ['unchecked', 'up'],
  ])('for trouble: %s is %s', (trouble, status) => expectStatus(trouble, isHealthy, status));
});

describe('isReady', () => {
  it.each([
    ['none', 'up'],
    ['draining', 'down'],
    ['sealed', 'down'],
    ['filling', 'degraded'],
    ['saturated', 'degraded'],
    ['full', 'degraded'],
    ['database away', 'degraded'],
    ['stream away', 'degraded'],
    ['unread', 'degraded'],
    ['halted', 'degraded'],
    ['stuck', 'degraded'],
    ['retrying', 'degraded'],
    ['no spill', 'degraded'],
    ['not journaled', 'degraded'],
    ['unchecked', 'up'],
  ])('for trouble: %s is %s', (trouble, status) => expectStatus(trouble, isReady, status));

  it.each(['full', 'callers wait'])(
    'is down for a full channel with overflow block: %s',
    async (t) => {
      const { ledger } = await indicatorOf(patientWith(t), 'block').isReady('ledger');
      expect(ledger).toMatchObject({ status: 'down', reason: expect.stringContaining('is full') });
      const nearly = await indicatorOf(patientWith('saturated'), 'block').isReady('ledger');
      expect(nearly.ledger.status).toBe('degraded');
    },
  );

  it.each([
    ['database away', 'databaseAway'],
    ['saturated', 'saturated'],
    ['halted', 'halted'],
  ] as const)('is down for trouble: %s if the policy says %s', async (trouble, option) => {
    for (const each of ['databaseAway', 'saturated', 'halted'] as const) {
      const indicator = indicatorOf(patientWith(trouble));
      const { ledger } = await indicator.isReady('ledger', { [each]: 'down' });
      expect(ledger.status).toBe(each === option ? 'down' : 'degraded');
    }
  });
});

describe('isLive', () => {
  it.each(Object.keys(TROUBLES).filter((trouble) => trouble !== 'stuck'))(
    'is up for trouble: %s',
    (trouble) => expectStatus(trouble, isLive, 'up'),
  );

  it('is down if the workers make no progress although the database answers, and waits only then', async () => {
    const patient = new Patient();
    const indicator = indicatorOf(patient);
    await indicator.isLive('ledger');
    let answer = (): void => undefined;
    patient.ping = () => new Promise((resolve) => (answer = resolve));
    expect((await indicator.isLive('ledger')).ledger.status).toBe('up');
    patient.stuck = true;
    const asked = indicator.isLive('ledger');
    answer();
    expect((await asked).ledger.status).toBe('down');
  });
});

describe('isStarted', () => {
  it.each(Object.keys(TROUBLES).filter((trouble) => trouble !== 'unchecked'))(
    'is up for trouble: %s',
    (trouble) => expectStatus(trouble, isStarted, 'up'),
  );

  it('is down until the table was reached and checked', async () => {
    const patient = patientWith('unchecked');
    const indicator = indicatorOf(patient);
    expect((await indicator.isStarted('ledger')).ledger.status).toBe('down');
    patient.tableChecked = true;
    expect((await indicator.isStarted('ledger')).ledger.status).toBe('up');
  });
});

describe('an answer', () => {
  it("has the contract's fields, under the requested key", async () => {
    expect(await indicatorOf(new Patient()).isHealthy('metering')).toEqual({
      metering: {
        status: 'up',
        saturation: 0.4,
        depth: 4,
        capacity: 10,
        oldestEntryAgeMs: 12,
        workers: { total: 2, busy: 1 },
        dropped: 2,
        state: 'running',
        database: 'up',
        timeToFullMs: null,
        drainEtaMs: null,
      },
    });
  });

  it('forecasts from the rates between two probes', async () => {
    const patient = new Patient();
    const indicator = indicatorOf(patient);
    await indicator.isLive('ledger');
    const spent = patient.time;
    patient.stat = { queued: 14 };
    const { ledger } = await indicator.isReady('ledger');
    // Six entries arrived since the last reading of the rates, six still fit.
    expect(ledger.timeToFullMs).toBe(patient.time - spent);
    patient.stat = { queued: 14, written: 13 };
    expect((await indicator.isReady('ledger')).ledger.drainEtaMs).toBeGreaterThan(0);
  });

  it('lists the worst reason first and contains no secrets', async () => {
    const patient = patientWith('database away');
    patient.retrying = true;
    patient.stat = { reason: 'no route to postgres://app:hush@db/meter', saturation: 0.85 };
    const answer = await indicatorOf(patient).isHealthy('ledger');
    expect(answer.ledger).toMatchObject({
      status: 'down',
      database: 'away',
      reason:
        'the database does not answer (ECONNREFUSED); the channel is 85 % full; ' +
        'the last attempt failed and is being retried: no route to postgres://***@db/meter',
    });
    expect(JSON.stringify(answer)).not.toContain('hush');
  });

  it('uses one saturation level, no matter which endpoint saw the peak', async () => {
    for (const endpoint of [isHealthy, isReady, isLive, isStarted]) {
      const patient = patientWith('full');
      const indicator = indicatorOf(patient);
      await endpoint(indicator);
      patient.stat = { saturation: 0.9 };
      expect((await indicator.isHealthy('ledger')).ledger.status).toBe('down');
      patient.stat = { saturation: 0.7 };
      expect((await indicator.isHealthy('ledger')).ledger.status).toBe('degraded');
      patient.stat = { saturation: 0.5 };
      expect((await indicator.isHealthy('ledger')).ledger.status).toBe('up');
    }
  });
});

describe('through Terminus', () => {
  const patient = new Patient();
  const indicator = indicatorOf(patient);

  @Controller('health')
  class HealthController {
    constructor(private readonly health: HealthCheckService) {}
    @Get()
    healthy() {
      return this.health.check([() => indicator.isHealthy('ledger')]);
    }
    @Get('ready')
    ready() {
      return this.health.check([() => indicator.isReady('ledger')]);
    }
  }

  async function application(): Promise<NestFastifyApplication> {
    const module = await Test.createTestingModule({
      imports: [TerminusModule.forRoot({ logger: false })],
      controllers: [HealthController],
    }).compile();
    const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
    return app;
  }

  it('answers 200 for up and degraded, 503 for down', async () => {
    const app = await application();
    const ask = async (path: string): Promise<unknown[]> => {
      const answer = await app.inject({ url: path });
      return [answer.statusCode, answer.json().status, answer.json().details.ledger.status];
    };
    expect(await ask('/health')).toEqual([200, 'ok', 'up']);
    patient.retrying = true;
    expect(await ask('/health')).toEqual([200, 'degraded', 'degraded']);
    patient.pingError = AWAY;
    expect(await ask('/health')).toEqual([503, 'error', 'down']);
    expect(await ask('/health/ready')).toEqual([200, 'degraded', 'degraded']);
    patient.stat = { state: 'draining' };
    expect(await ask('/health/ready')).toEqual([503, 'error', 'down']);
    await app.close();
  });
});
