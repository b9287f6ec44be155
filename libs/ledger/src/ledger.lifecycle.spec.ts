import { tmpdir } from 'node:os';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { LedgerDatabase } from './ledger.database.js';
import { LedgerLifecycle } from './ledger.lifecycle.js';
import { LedgerFiles } from './sink/ledger-files.js';
import { ledgerUnderTest } from './testing/ledger-under-test.js';

/** Nothing listens there: what asks the server gets no answer, and the sink is in memory. */
const NOWHERE = { type: 'postgres', url: 'postgres://127.0.0.1:1/nowhere', poolSize: 7 } as const;

function bootable() {
  const test = ledgerUnderTest({ bufferSize: 2, batchSize: 1 });
  const options = resolveLedgerOptions({ dataSource: new DataSource(NOWHERE) });
  const lifecycle = new LedgerLifecycle({
    name: 'default',
    ledger: test.ledger,
    database: new LedgerDatabase(options, 'default'),
    files: new LedgerFiles(tmpdir(), 'default'),
    findDataSource: () => undefined,
    all: () => [],
    httpServer: () => undefined,
    isUnderTest: true,
  });
  const boot = async (): Promise<void> => {
    const started = lifecycle.onModuleInit();
    // The probe of the spill directory is real I/O, which no turn of the manual clock awaits.
    while (test.ledger.writer.isPrepared !== true) await test.clock.turn();
    await started;
  };
  const advised = (): string[] => test.lines.filter((line) => line.includes(' s: '));
  return { ...test, lifecycle, boot, advised };
}

async function dropFor(test: ReturnType<typeof bootable>, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 10) {
    for (let i = 0; i < 9; i++) test.ledger.intake.offer({ userId: 1 });
    await test.clock.advance(10_000);
  }
}

describe('LedgerLifecycle', () => {
  it('lets the advice be told from the start to the first shutdown hook', async () => {
    const test = bootable();
    await test.boot();
    expect(test.ledger.surroundings.read().poolSize).toBe(7);
    test.sink.hold();
    await dropFor(test, 120);
    expect(test.advised()).toEqual([
      expect.stringMatching(/^WARNING: \d+ entries were dropped in 30 s: /),
    ]);
    test.sink.hold(false);
    test.sink.held[0]!.release();
    const destroyed = test.lifecycle.onModuleDestroy();
    await test.clock.turn();
    await destroyed;
    await test.lifecycle.onApplicationShutdown();
    await test.clock.advance(2000);
    expect(test.clock.pendingTimers).toBe(0);
  });

  it('looks at nothing if it is stopped before it is started', async () => {
    const test = bootable();
    await test.lifecycle.onModuleDestroy();
    await test.lifecycle.onModuleInit();
    await test.lifecycle.onApplicationShutdown();
    await test.clock.advance(2000);
    expect(test.clock.pendingTimers).toBe(0);
  });
});
