import { Controller, Get, Res } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ADAPTERS,
  CallLog,
  latch,
  RecordedApp,
  RecordingLedger,
} from './fixtures/recorded-app.fixture.js';
import { defineLedger } from '../define-ledger.js';
import { LedgerWaitTimeoutError } from '../errors/wait.errors.js';
import { getLedgerToken } from '../ledger.tokens.js';
import { RecordUsage } from './record-usage.decorator.js';
import type { UsageMapper } from './usage-call.interface.js';

const audit = defineLedger({ name: 'audit' });

const calls = new CallLog();
const fault = new Error('no tokens');
const promiseMapper = (async () => {
  throw fault;
}) as unknown as UsageMapper;

interface RawHolder {
  /** Fastify's. */
  readonly raw?: { end(body: string): void };
  end(body: string): void;
}

@Controller()
class GuaranteeController {
  @Get('record')
  @RecordUsage(calls.map)
  record(): string {
    return 'answer';
  }

  @Get('room')
  @RecordUsage(calls.map, { guarantee: 'room' })
  room(): string {
    return 'answer';
  }

  @Get('durable')
  @RecordUsage(calls.map, { guarantee: 'durable' })
  durable(): string {
    return 'answer';
  }

  @Get('manual')
  @RecordUsage(calls.map)
  manual(@Res() response: { send(body: string): void }): void {
    response.send('answer');
  }

  @Get('passthrough')
  @RecordUsage(calls.map)
  passthrough(@Res({ passthrough: true }) response: { header(name: string, value: string): void }) {
    response.header('x-answer', 'own');
    return 'answer';
  }

  @Get('passthrough-commit')
  @RecordUsage(calls.map, { guarantee: 'commit' })
  passthroughCommit(@Res({ passthrough: true }) _response: unknown): string {
    return 'answer';
  }

  @Get('begun')
  @RecordUsage(calls.map)
  begun(@Res({ passthrough: true }) response: RawHolder): void {
    (response.raw ?? response).end('answer');
  }

  @Get('commit')
  @RecordUsage(calls.map, { guarantee: 'commit' })
  async commit(): Promise<string> {
    return 'answer';
  }

  @Get('several')
  @RecordUsage((call) => [calls.map(call), calls.map(call)], { guarantee: 'commit' })
  several(): string {
    return 'answer';
  }

  @Get('manual-commit')
  @RecordUsage(calls.map, { guarantee: 'commit' })
  manualCommit(@Res() response: { send(body: string): void }): void {
    response.send('answer');
  }

  @Get('failed-commit')
  @RecordUsage(calls.map, { guarantee: 'commit' })
  failedCommit(): never {
    throw fault;
  }

  @Get('none')
  @RecordUsage(() => null, { guarantee: 'commit' })
  none(): string {
    return 'answer';
  }

  @Get('array')
  @RecordUsage(() => [{ userId: 1 }, { userId: 2 }])
  array(): string {
    return 'answer';
  }

  @Get('throws')
  @RecordUsage(() => {
    throw fault;
  })
  throws(): string {
    return 'answer';
  }

  @Get('promises')
  @RecordUsage(promiseMapper)
  promises(): string {
    return 'answer';
  }

  @Get('audit')
  @RecordUsage(calls.map, { ledger: audit })
  audit(): string {
    return 'answer';
  }
}

describe.each(ADAPTERS)('LedgerInterceptor and its ledger on %s', (adapter) => {
  let app: RecordedApp;
  const auditLedger = new RecordingLedger();

  beforeEach(async () => {
    calls.clear();
    app = await RecordedApp.start(adapter, {
      controllers: [GuaranteeController],
      providers: [{ provide: getLedgerToken(audit), useValue: auditLedger }],
    });
  });

  afterEach(() => app.close());

  it.each([
    ['room', 'queued'],
    ['durable', 'durable'],
    ['commit', 'committed'],
  ])('holds a plain response with guarantee %s until it is %s', async (path, until) => {
    const gate = latch();
    app.ledger.gate = gate.promise;
    let isAnswered = false;
    const answer = app.fetch(`/${path}`).finally(() => (isAnswered = true));
    await calls.reach(1);
    // A whole request comes and goes in the meantime.
    await app.fetch('/array');
    expect(isAnswered).toBe(false);
    gate.open();
    expect(await (await answer).text()).toBe('answer');
    expect(app.ledger.awaited).toEqual([{ entry: { userId: 1 }, until }]);
    expect(calls.ends).toEqual(['completed']);
  });

  it.each(['room', 'durable', 'commit'])(
    'answers anyway when the wait for %s ends',
    async (path) => {
      const gate = latch();
      app.ledger.gate = gate.promise;
      const answers = Promise.all([1, 2, 3].map(() => app.fetch(`/${path}`)));
      await calls.reach(3);
      gate.fail(new LedgerWaitTimeoutError('dropped', 1000));
      expect((await answers).map((answer) => answer.status)).toEqual([200, 200, 200]);
      expect(app.lines.filter((line) => line.includes('LedgerWaitTimeoutError'))).toHaveLength(1);
      expect(app.ledger.mapperErrors).toEqual([]);
    },
  );

  it('waits for all entries of an array, side by side', async () => {
    await app.fetch('/several');
    expect(app.ledger.awaited).toEqual([
      { entry: { userId: 1 }, until: 'committed' },
      { entry: { userId: 2 }, until: 'committed' },
    ]);
  });

  it('holds plain responses by default when the ledger blocks', async () => {
    app.ledger.overflow = 'block';
    await app.fetch('/record');
    expect(app.ledger.awaited).toEqual([{ entry: { userId: 1 }, until: 'queued' }]);
    expect(app.ledger.recorded).toEqual([]);
  });

  it('holds plain responses by default until the journal has their entry', async () => {
    app.ledger.isJournaled = true;
    const gate = latch();
    app.ledger.unwritten = gate.promise;
    let isAnswered = false;
    const answer = app.fetch('/record').finally(() => (isAnswered = true));
    await calls.reach(1);
    expect(app.ledger.recorded).toEqual([{ userId: 1 }]);
    expect(await (await app.fetch('/manual')).text(), 'nobody can hold this one').toBe('answer');
    expect(isAnswered).toBe(false);
    gate.open();
    expect(await (await answer).text()).toBe('answer');
    app.ledger.unwritten = undefined;
    await app.fetch('/record');
    expect(app.ledger.awaited).toEqual([]);
  });

  it('holds what a handler with a passthrough response returns, not what it began itself', async () => {
    app.ledger.isJournaled = true;
    const gate = latch();
    app.ledger.unwritten = gate.promise;
    let isAnswered = false;
    const answer = app.fetch('/passthrough').finally(() => (isAnswered = true));
    await calls.reach(1);
    expect(await (await app.fetch('/begun')).text(), 'nobody can hold this one').toBe('answer');
    expect(isAnswered).toBe(false);
    gate.open();
    const { headers, status } = await answer;
    expect([status, headers.get('x-answer')]).toEqual([200, 'own']);
    expect(calls.ends).toEqual(['completed', 'completed']);
    await app.fetch('/passthrough-commit');
    expect(app.ledger.awaited).toEqual([{ entry: { userId: 3 }, until: 'committed' }]);
  });

  it('waits for room and for the journal when the ledger blocks', async () => {
    Object.assign(app.ledger, { isJournaled: true, overflow: 'block' });
    const gate = latch();
    app.ledger.unwritten = gate.promise;
    let isAnswered = false;
    const answer = app.fetch('/record').finally(() => (isAnswered = true));
    await calls.reach(1);
    await app.fetch('/manual');
    expect(app.ledger.awaited[0]).toEqual({ entry: { userId: 1 }, until: 'queued' });
    expect(isAnswered).toBe(false);
    gate.open();
    expect((await answer).status).toBe(200);
  });

  it.each([
    ['manual-commit', 200],
    ['failed-commit', 500],
  ])('lets the entry of %s wait for room, not the client', async (path, status) => {
    const gate = latch();
    app.ledger.gate = gate.promise;
    expect((await app.fetch(`/${path}`)).status).toBe(status);
    await calls.reach(1);
    expect(app.ledger.awaited).toEqual([{ entry: { userId: 1 }, until: 'queued' }]);
    gate.open();
  });

  it('gives up a held response whose client has hung up, and maps it once', async () => {
    const gate = latch();
    app.ledger.gate = gate.promise;
    const socket = await app.dial('/commit');
    await calls.reach(1);
    socket.destroy();
    gate.open();
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it('records nothing for null and every entry of an array', async () => {
    expect((await app.fetch('/none')).status).toBe(200);
    expect((await app.fetch('/array')).status).toBe(200);
    expect(app.ledger.recorded).toEqual([{ userId: 1 }, { userId: 2 }]);
    expect(app.ledger.awaited).toEqual([]);
  });

  it.each([
    ['throws', 'Error: no tokens'],
    ['promises', 'TypeError: it returned a promise; a mapper must be synchronous'],
  ])('counts a mapper that %s, logs it once a second and answers unchanged', async (path, text) => {
    const answers = await Promise.all([1, 2, 3].map(() => app.fetch(`/${path}`)));
    for (const answer of answers) expect(await answer.text()).toBe('answer');
    expect(app.ledger.mapperErrors).toHaveLength(3);
    expect(app.ledger.recorded).toEqual([]);
    const about = app.lines.filter((line) => line.startsWith('[async-ledger] mapper of'));
    expect(about).toEqual([`[async-ledger] mapper of GuaranteeController.${path} failed: ${text}`]);
  });

  it('answers when the ledger throws for an invalid entry', async () => {
    vi.spyOn(app.ledger, 'record').mockImplementation(() => {
      throw new Error('invalid entry: userId is missing');
    });
    expect((await app.fetch('/record')).status).toBe(200);
    expect(app.lines).toEqual([expect.stringContaining('userId is missing')]);
  });

  it('records to the ledger that the decorator names', async () => {
    await app.fetch('/audit');
    expect(auditLedger.recorded.splice(0)).toEqual([{ userId: 1 }]);
    expect(app.ledger.recorded).toEqual([]);
  });
});
