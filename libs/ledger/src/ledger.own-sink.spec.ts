import { Test, type TestingModule } from '@nestjs/testing';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLedgerConfig } from './config/ledger.config.js';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { defineLedger, type LedgerDefinition } from './define-ledger.js';
import { isLedgerError } from './errors/is-ledger-error.js';
import { LedgerHealthIndicator } from './health/ledger-health.indicator.js';
import { LedgerModule } from './ledger.module.js';
import { LedgerService } from './ledger.service.js';
import { createRowReader } from './sink-kit/row-reader.js';
import { InMemorySink } from './testing/in-memory.sink.js';
import { assertConservation } from './testing/ledger-under-test.js';

const usage = defineLedger({ columns: { model: 'text' } });
const READER = createRowReader(usage);

let sink: InMemorySink;
let spillDir: string;
let module: TestingModule | undefined;

beforeEach(async () => {
  sink = new InMemorySink();
  spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-own-sink-'));
});
afterEach(async () => {
  await module?.close();
  module = undefined;
  await rm(spillDir, { recursive: true, force: true });
});

/** An application without a database. */
async function boot(
  options: LedgerOptions = {},
  ledger: LedgerDefinition = usage,
): Promise<LedgerService<typeof usage>> {
  const all = { sink, spillDir, flushMs: 1, ...options };
  const imports = [LedgerModule.forRoot({ ledger, ...all })];
  module = await Test.createTestingModule({ imports }).compile();
  module.useLogger(false);
  await module.init();
  return module.get<LedgerService<typeof usage>>(LedgerService, { strict: false });
}

/** Lines of all files that were set aside. */
async function setAside(): Promise<Record<string, unknown>[]> {
  const texts = await Promise.all(
    (await readdir(spillDir)).map((name) => readFile(join(spillDir, name), 'utf8')),
  );
  const lines = texts.flatMap((text) => text.split('\n').filter((line) => line !== ''));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('a ledger on its own sink', () => {
  it('takes its sink from a configuration, which has dead letters in a file then', async () => {
    const config = createLedgerConfig(usage, { defaults: { sink, spillDir } });
    expect(config().deadLetters).toBe('file');
    module = await Test.createTestingModule({
      imports: [LedgerModule.forRootAsync(config.asProvider())],
    }).compile();
    module.useLogger(false);
    await module.init();
    const ledger = module.get<LedgerService<typeof usage>>(LedgerService, { strict: false });
    await ledger.recordAndWait({ userId: 7, model: 'm-1' });
    expect(sink.rows.size).toBe(1);
    expect(ledger.stats().settings['deadLetters']).toEqual({ value: 'file', source: 'default' });
  });

  it('writes to it, without a database', async () => {
    const ledger = await boot();
    ledger.record({ userId: 7, promptTokens: 3, model: 'm-1' });
    const { outcome } = await ledger.recordAndWait({ userId: 8 });
    expect(outcome).toBe('written');
    const entries = [...sink.rows.values()].map((row) => READER.entry(row));
    expect(entries).toMatchObject([
      { userId: '7', promptTokens: 3, model: 'm-1' },
      { userId: '8' },
    ]);
    expect(ledger.stats()).toMatchObject({ state: 'running', queued: 2, written: 2 });
  });

  it('closes it at the end, after what was recorded is written', async () => {
    const ledger = await boot({ flushMs: 60_000 });
    ledger.record({ userId: 7 });
    await module!.close();
    expect(sink.rows.size).toBe(1);
    expect(sink.isClosed).toBe(true);
  });

  it('spills to a file what the sink does not take in time', async () => {
    const ledger = await boot({ shutdownTimeoutMs: 200 });
    sink.failAlways({ kind: 'transient' });
    ledger.record({ userId: 7, model: 'm-1' });
    await module!.close();
    expect(ledger.stats()).toMatchObject({ written: 0, spilled: 1 });
    expect(await setAside()).toMatchObject([{ entry: { userId: '7', model: 'm-1' } }]);
  });

  it('writes what an earlier run left in the journal', async () => {
    const options = { journalDir: join(spillDir, 'journal'), retryMinMs: 10, retryMaxMs: 20 };
    sink.failAlways({ kind: 'transient' });
    const before = await boot({ ...options, shutdownTimeoutMs: 100 });
    before.record({ userId: 7, model: 'm-1' });
    await module!.close();
    expect(before.stats()).toMatchObject({ written: 0, spilled: 1 });
    sink = new InMemorySink();
    const ledger = await boot(options);
    await expect.poll(() => sink.rows.size).toBe(1);
    await expect
      .poll(() => ledger.stats())
      .toMatchObject({ recovered: 1, written: 1, inFlight: 0 });
    assertConservation(ledger.stats());
    expect([...sink.rows.values()].map((row) => READER.entry(row))).toMatchObject([
      { userId: '7', model: 'm-1' },
    ]);
  });

  it('keeps a refused entry as a dead letter in a file', async () => {
    const ledger = await boot({ retryMinMs: 10, retryMaxMs: 20 });
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
    sink.refuse(uuid);
    await expect(ledger.recordAndWait({ userId: 7, uuid })).rejects.toMatchObject({ uuid });
    expect(await setAside()).toMatchObject([{ uuid, reason: 'refused', entry: { userId: '7' } }]);
  });

  it('is as healthy as the ping of the sink', async () => {
    await boot();
    const health = module!.get(LedgerHealthIndicator, { strict: false });
    expect(await health.isHealthy('usage')).toMatchObject({ usage: { status: 'up' } });
    sink.ping = async () => Promise.reject(new Error('gone'));
    // An answer is used again for a second.
    await expect
      .poll(() => health.isHealthy('usage'), { timeout: 5_000 })
      .toMatchObject({ usage: { status: 'down', database: 'away' } });
  });

  it('boots while the sink is away, and writes once it is there', async () => {
    sink.failAlways({ kind: 'transient' });
    const ledger = await boot({ retryMinMs: 10, retryMaxMs: 20 });
    expect(ledger.record({ userId: 7 })).toBe('queued');
    expect(ledger.stats().state).toBe('starting');
    sink.failAlways(undefined);
    await expect.poll(() => sink.rows.size).toBe(1);
  });

  it('waits for the sink at boot with connectAtBoot', async () => {
    sink.failAlways({ kind: 'halt' });
    await expect(boot({ connectAtBoot: true })).rejects.toSatisfy((error) =>
      isLedgerError(error, 'SINK_HALT'),
    );
    expect(sink.isClosed).toBe(true);
  });

  it('has no reads, and says what would make some', async () => {
    const ledger = await boot();
    const reads = [
      ledger.summary(),
      ledger.listRecent({ userId: 7 }),
      ledger.report({ from: '2026-01-01', to: '2026-02-01' }).next(),
      ledger.reverse('01890a5d-ac96-774b-bcce-b302099a8057', { reason: 'wrong' }),
    ];
    for (const read of reads) {
      const error: unknown = await read.catch((reason: unknown) => reason);
      expect(isLedgerError(error, 'LEDGER_READ') && error.reason).toBe('unavailable');
      expect(String(error)).toContain('give the option `reader`');
    }
  });

  it('reads through the reader that it was given', async () => {
    const asOf = '2026-01-01T00:00:00.000Z';
    const figures = { consumedTokens: 3, suppliedTokens: 0, netTokens: -3, entries: 1 };
    const reader = {
      summary: async () => ({ ...figures, asOf }),
      listRecent: async () => ({ entries: [], nextCursor: null, asOf }),
      async *report() {
        yield figures;
      },
      find: async (uuid: string) => {
        const row = sink.rows.get(uuid);
        return row && { ...READER.entry(row), writtenAt: asOf };
      },
    };
    const ledger = await boot({ reader });
    const { uuid } = await ledger.recordAndWait({ userId: 7, promptTokens: 3 });
    expect(await ledger.summary()).toMatchObject(figures);
    const rows = [];
    for await (const row of ledger.report({ from: '2026-01-01', to: '2026-02-01' })) rows.push(row);
    expect(rows).toEqual([figures]);
    const reversed = await ledger.reverse(uuid, { reason: 'wrong' });
    expect(reversed.outcome).toBe('written');
    expect(READER.entry(sink.rows.get(reversed.uuid)!)).toMatchObject({
      promptTokens: -3,
      corrects: uuid,
    });
  });

  it.each([
    ['partition', defineLedger({ partition: 'month' })],
    ['immutable', defineLedger({ immutable: true })],
    ['indexes', defineLedger({ indexes: ['userId', 'apiKeyId'] })],
    ['rollup', defineLedger({ rollup: true })],
    ['rollup', defineLedger({ columns: { model: 'text' }, rollup: { dimensions: ['model'] } })],
  ] as const)('refuses a definition with %s at boot', async (name, definition) => {
    const error: unknown = await boot({}, definition).catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'LEDGER_OPTIONS') && error.faults).toMatchObject([
      { name, source: 'code' },
    ]);
  });

  it('keeps the law when an answer of the sink does not account for its rows', async () => {
    const ledger = await boot({ retryMinMs: 1, retryMaxMs: 2 });
    const write = sink.write.bind(sink);
    let isWrong = true;
    sink.write = async (batch, attempt) => {
      const result = await write(batch, attempt);
      if (!isWrong) return result;
      isWrong = false;
      return { ...result, written: result.written + 1 };
    };
    await expect(ledger.recordAndWait({ userId: 7 })).resolves.toMatchObject({
      outcome: 'duplicate',
    });
    expect(ledger.stats()).toMatchObject({ queued: 1, written: 0, duplicate: 1, retries: 1 });
  });
});

describe('the journal’s folder at boot', () => {
  it('refuses the boot where no later try can succeed, and says why', async () => {
    await writeFile(join(spillDir, 'journal'), '');
    const journalDir = join(spillDir, 'journal', 'in-a-file');
    const error: unknown = await boot({ journalDir }).catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'LEDGER_OPTIONS') && error.faults).toEqual([
      {
        name: 'journalDir',
        value: journalDir,
        rule: 'must be a folder that this process can write to (ENOTDIR)',
        source: 'code',
      },
    ]);
  });

  it('starts degraded where a later try may succeed, and takes entries', async () => {
    const journalDir = join(spillDir, 'journal');
    await symlink(join(spillDir, 'not-mounted'), journalDir);
    const ledger = await boot({ journalDir });
    expect(ledger.stats().journal).toMatchObject({ state: 'degraded', reason: 'ENOENT' });
    await ledger.recordAndWait({ userId: 1 });
    expect(ledger.stats()).toMatchObject({ queued: 1, written: 1 });
  });

  it('is made before the first entry, and for its owner alone', async () => {
    const journalDir = join(spillDir, 'journal');
    const ledger = await boot({ journalDir });
    expect((await stat(join(journalDir, 'default'))).mode & 0o777).toBe(0o700);
    expect(ledger.stats().journal).toMatchObject({ state: 'writing', files: 0 });
  });
});
