import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLedgerConfig } from './config/ledger.config.js';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { defineLedger, type LedgerDefinition } from './define-ledger.js';
import { isLedgerError } from './errors/is-ledger-error.js';

import { LedgerHealthIndicator } from './health/ledger-health.indicator.js';
import { LedgerModule } from './ledger.module.js';
import { RecordUsage } from './metering/record-usage.decorator.js';
import { getLedgerToken } from './ledger.tokens.js';
import { LedgerService } from './ledger.service.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';
import { InMemoryStream } from './testing/in-memory.stream.js';
import { InMemorySink } from './testing/in-memory.sink.js';
import { assertConservation } from './testing/ledger-under-test.js';

/** With all that only a table can keep: the definition is the writers' as well. */
const usage = defineLedger({
  columns: { model: 'text' },
  partition: 'day',
  rollup: true,
  indexes: ['userId'],
});

let log: InMemoryStream;
let spillDir: string;
let module: TestingModule | undefined;

beforeEach(async () => {
  log = new InMemoryStream();
  spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stream-'));
});
afterEach(async () => {
  await module?.close();
  module = undefined;
  vi.unstubAllEnvs();
  await rm(spillDir, { recursive: true, force: true });
});

async function init(imports: Parameters<typeof Test.createTestingModule>[0]['imports']) {
  module = await Test.createTestingModule({ imports: imports! }).compile();
  module.useLogger(false);
  await module.init();
  return module.get<LedgerService<typeof usage>>(LedgerService, { strict: false });
}

/** A gateway, unless the options say otherwise. */
function boot(options: LedgerOptions = {}, ledger: LedgerDefinition = usage) {
  const all = { stream: log.connect(), role: 'gateway' as const, spillDir, flushMs: 1, ...options };
  return init([LedgerModule.forRoot({ ledger, ...all })]);
}

const error = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (reason: unknown) => reason,
  );

describe('a gateway', () => {
  it('boots and publishes without a database, whatever the definition asks of one', async () => {
    vi.stubEnv('DATABASE_URL', 'postgres://nobody@127.0.0.1:1/none');
    const ledger = await boot();
    expect(ledger.record({ userId: 7, model: 'm' })).toBe('queued');
    expect(await ledger.flush()).toMatchObject({ written: 1 });
    expect(log.payloads()).toHaveLength(1);
    expect(ledger.stats()).toMatchObject({ state: 'running', published: 1, written: 0 });
    assertConservation(ledger.stats());
  });

  it('takes its stream and its role beside a configuration', async () => {
    const config = createLedgerConfig(usage, { defaults: { spillDir } });
    const beside = { stream: log.connect(), role: 'gateway' as const };
    const ledger = await init([LedgerModule.forRootAsync({ ...config.asProvider(), ...beside })]);
    await ledger.recordAndWait({ userId: 7 });
    expect(log.payloads()).toHaveLength(1);
    expect(ledger.stats().settings['deadLetters']).toEqual({ value: 'file', source: 'default' });
  });

  it('waits for the stream by default', async () => {
    const ledger = await boot();
    const answer = await ledger.recordAndWait({ userId: 7 });
    expect(answer.outcome).toBe('durable');
    expect(log.payloads()).toHaveLength(1);
    expect(await ledger.recordAndWait({ userId: 7 }, { until: 'queued' })).toMatchObject({
      outcome: 'queued',
    });
  });

  it('refuses to wait for a commit, and keeps the entry all the same', async () => {
    const ledger = await boot();
    const reason = await error(ledger.recordAndWait({ userId: 7 }, { until: 'committed' }));
    expect(isLedgerError(reason, 'LEDGER_NO_COMMIT') && reason.uuid).toMatch(/^[0-9a-f-]{36}$/);
    await ledger.flush();
    expect(ledger.stats()).toMatchObject({ queued: 1, published: 1 });
  });

  it('refuses a method that is to wait for the commit, by its name', async () => {
    class Chat {
      @RecordUsage(() => ({ userId: 7 }), { guarantee: 'commit', ledger: usage })
      ask(): string {
        return 'answer';
      }
    }
    const gateway = { ledger: usage, stream: log.connect(), role: 'gateway' as const, spillDir };
    const testing = Test.createTestingModule({
      imports: [LedgerModule.forRoot(gateway)],
      providers: [Chat],
    });
    const booting = testing.compile().then((made) => made.init());
    const reason = await error(booting);
    expect(isLedgerError(reason, 'LEDGER_OPTIONS') && reason.faults).toMatchObject([
      {
        name: '@RecordUsage on Chat.ask',
        value: "guarantee: 'commit'",
        rule: expect.stringContaining("use guarantee: 'durable'") as string,
      },
    ]);
  });

  it('names the way to write back what earlier runs spilled, which is not its own', async () => {
    const first = await boot({ flushMs: 60_000, shutdownTimeoutMs: 300 });
    log.failAlways('transient');
    first.record({ userId: 8 });
    await module!.close();
    log.failAlways(undefined);
    const warned = vi.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const stream = { stream: log.connect(), role: 'gateway' as const };
    const imports = [LedgerModule.forRoot({ ledger: usage, ...stream, spillDir })];
    module = await Test.createTestingModule({ imports }).compile();
    await module.init();
    const told = warned.mock.calls.map(([line]) => String(line)).join('\n');
    warned.mockRestore();
    expect(told).toMatch(/address of the writers' database.*replay .* --database-url <url>/);
  });

  it('waits for the journal where it has one, also while the stream is away', async () => {
    const ledger = await boot({ journalDir: join(spillDir, 'journal') });
    log.failAlways('transient');
    expect(await ledger.recordAndWait({ userId: 7 })).toMatchObject({ outcome: 'durable' });
    expect(log.payloads()).toHaveLength(0);
    log.failAlways(undefined);
    await ledger.flush();
    expect(log.payloads()).toHaveLength(1);
    assertConservation(ledger.stats());
  });

  it('has no reads, and says what would make some', async () => {
    const ledger = await boot();
    for (const read of [ledger.summary(), ledger.listRecent({ userId: 7 })]) {
      const reason = await error(read);
      expect(isLedgerError(reason, 'LEDGER_READ') && reason.reason).toBe('unavailable');
      expect((reason as Error).message).toContain('writes to a stream; give the option `reader`');
    }
  });

  it('is as healthy as its stream', async () => {
    log.failAlways('transient');
    const ledger = await boot({ retryMinMs: 1, retryMaxMs: 2 });
    const health = module!.get(LedgerHealthIndicator, { strict: false });
    const started = await health.isStarted('usage');
    expect(started.usage.status).toBe('down');
    expect(started.usage).toHaveProperty(
      'reason',
      expect.stringContaining('the stream has not been reached'),
    );
    const { usage: whole } = await health.isHealthy('usage');
    expect(whole).toMatchObject({ status: 'down' });
    expect(whole).toHaveProperty('reason', expect.stringContaining('the stream does not answer'));
    expect(await health.isReady('usage')).not.toMatchObject({ usage: { status: 'down' } });
    log.failAlways(undefined);
    await ledger.recordAndWait({ userId: 7 });
    await expect
      .poll(() => health.isHealthy('usage'), { timeout: 5000 })
      .toMatchObject({ usage: { status: 'up' } });
    expect(await health.isStarted('usage')).toMatchObject({ usage: { status: 'up' } });
  });

  it('publishes at a stop what it accepted, and spills what the stream does not take', async () => {
    const ledger = await boot({ flushMs: 60_000, shutdownTimeoutMs: 300 });
    ledger.record({ userId: 7 });
    await module!.close();
    expect(log.payloads()).toHaveLength(1);
    expect(ledger.stats()).toMatchObject({ published: 1, spilled: 0, state: 'sealed' });
    const other = await boot({ flushMs: 60_000, shutdownTimeoutMs: 300 });
    log.failAlways('transient');
    other.record({ userId: 8 });
    await module!.close();
    expect(other.stats()).toMatchObject({ published: 0, spilled: 1 });
    expect(await readdir(spillDir)).not.toEqual([]);
    assertConservation(other.stats());
  });
});

describe('roles that make no sense', () => {
  const connection = { url: 'postgres://u@127.0.0.1:1/d' };
  const cases: [name: string, options: object, rule: string][] = [
    ['role', { role: 'both' }, 'set role, or leave out stream to write to PostgreSQL directly'],
    ['role', { role: undefined }, 'must be gateway or writer with a stream'],
    ['role', { role: 'reader' }, 'must be one of both, gateway, writer'],
    ['role', { stream: undefined }, 'needs a stream'],
    ['stream', { stream: {} }, 'must be an object with the methods of a LedgerStream'],
    ['sink', { sink: new InMemorySink() }, 'is given together with stream'],
    ['connection', { connection }, 'is given to a gateway'],
    ['retention', { retention: { keep: 3 } }, 'is given to a gateway'],
    ['migrations', { migrations: 'run' }, 'is given to a gateway'],
    ['deadLetters', { deadLetters: 'table' }, 'a gateway has no table; set it to file'],
    ['journalDir', { role: 'writer', connection, journalDir: 'j' }, 'is given to a writer'],
  ];
  it.each(cases)('are refused at boot by the name of %s: %o', async (name, options, rule) => {
    const reason = await error(boot(options));
    expect(isLedgerError(reason, 'LEDGER_OPTIONS') && reason.faults).toContainEqual(
      expect.objectContaining({ name, rule: expect.stringContaining(rule) as string }),
    );
  });

  it('refuse a stream that two ledgers have, and take one for each', async () => {
    const other = defineLedger({ name: 'other', columns: { model: 'text' } });
    const gateway = { role: 'gateway' as const, spillDir };
    const imports = (first: LedgerStream, second: LedgerStream) => [
      LedgerModule.forRoot({ ...gateway, ledger: usage, stream: first }),
      LedgerModule.forRoot({ ...gateway, ledger: other, stream: second }),
    ];
    const stream = log.connect();
    const reason = await error(init(imports(stream, stream)));
    expect(isLedgerError(reason, 'LEDGER_OPTIONS') && reason.faults).toMatchObject([
      { name: 'ledger', rule: expect.stringContaining('has the stream of ledger') as string },
    ]);
    await module?.close();
    await init(imports(log.connect(), log.connect()));
  });

  it('refuse a stream that another application has until it closes, and leave it open', async () => {
    const stream = log.connect();
    const gateway = { ledger: usage, stream, role: 'gateway' as const, spillDir, flushMs: 1 };
    const imports = () => [LedgerModule.forRoot(gateway)];
    const first = await init(imports());
    const firstModule = module!;
    const reason = await error(init(imports()));
    await module!.close();
    module = firstModule;
    expect(isLedgerError(reason, 'LEDGER_OPTIONS') && reason.faults).toMatchObject([
      { name: 'ledger', rule: expect.stringContaining('of another application') as string },
    ]);
    await first.recordAndWait({ userId: 1 });
    await firstModule.close();
    const second = await init(imports());
    await second.recordAndWait({ userId: 2 });
    expect(log.payloads()).toHaveLength(2);
    for (const each of [first, second]) {
      expect(each.stats()).toMatchObject({ published: 1 });
      assertConservation(each.stats());
    }
  });

  it('take the role of the environment', async () => {
    vi.stubEnv('LEDGER_ASYNC_ROLE', 'gateway');
    const config = createLedgerConfig(usage, { defaults: { spillDir } });
    expect(config()).toMatchObject({ role: 'gateway', deadLetters: 'file' });
    const alone = await error(init([LedgerModule.forRootAsync(config.asProvider())]));
    expect(isLedgerError(alone, 'LEDGER_OPTIONS') && alone.faults).toMatchObject([
      {
        name: 'role',
        source: 'environment',
        rule: expect.stringContaining('needs a stream') as string,
      },
    ]);
    const beside = { ...config.asProvider(), stream: log.connect() };
    const ledger = await init([LedgerModule.forRootAsync(beside)]);
    await ledger.recordAndWait({ userId: 7 });
    expect(log.payloads()).toHaveLength(1);
    expect(ledger.stats().settings['role']).toEqual({ value: 'gateway', source: 'environment' });
  });

  it('take the stream of the environment, and never show its password', async () => {
    vi.stubEnv('LEDGER_USAGE_ASYNC_ROLE', 'gateway');
    vi.stubEnv('LEDGER_USAGE_ASYNC_STREAM_URL', 'nats://u:secret@127.0.0.1:9/?replicas=1');
    const named = defineLedger({ name: 'usage', columns: { model: 'text' } });
    const config = createLedgerConfig(named, {
      defaults: { spillDir, shutdownTimeoutMs: 1 },
      strict: true,
    });
    const imports = [LedgerModule.forRootAsync(config.asProvider())];
    module = await Test.createTestingModule({ imports }).compile();
    module.useLogger(false);
    await module.init();
    const ledger = module.get<LedgerService>(getLedgerToken(named), { strict: false });
    expect(ledger.stats().stream).toMatchObject({ role: 'gateway', waiting: null });
    expect(JSON.stringify(ledger.stats())).not.toContain('secret');
    await module.close();
    vi.stubEnv('LEDGER_USAGE_ASYNC_STREAM_URL', 'amqp://u:secret@h');
    const wrong = await error(init([LedgerModule.forRootAsync(config.asProvider())]));
    expect(isLedgerError(wrong, 'LEDGER_OPTIONS') && wrong.faults).toMatchObject([
      {
        ...{ name: 'LEDGER_USAGE_ASYNC_STREAM_URL', source: 'environment' },
        rule: expect.stringContaining('must begin with nats://, tls:// or kafka://') as string,
      },
    ]);
    expect(String(wrong)).not.toContain('secret');
  });

  it('name the variable that gives a gateway a database', async () => {
    vi.stubEnv('LEDGER_DATABASE_URL', connection.url);
    const config = createLedgerConfig(usage);
    const beside = { stream: log.connect(), role: 'gateway' as const };
    const imports = [LedgerModule.forRootAsync({ ...config.asProvider(), ...beside })];
    const reason = await error(init(imports));
    expect(isLedgerError(reason, 'LEDGER_OPTIONS') && reason.faults).toMatchObject([
      { name: 'LEDGER_DATABASE_URL', source: 'environment' },
    ]);
  });
});
