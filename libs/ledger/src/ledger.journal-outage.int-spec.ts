import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from './assemble-ledger.js';
import { RowCodec } from './codec/row-codec.js';
import { SLAB_BYTES } from './codec/slab.js';
import { readUuid } from './codec/uuid.js';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { createSinkLedger } from './create-sink-ledger.js';
import { defineLedger } from './define-ledger.js';
import { SinkTransientError } from './errors/sink.errors.js';
import type { LossReport } from './ports/ledger-settings.interface.js';
import type { LedgerSink, RowBatch, WriteResult } from './ports/ledger-sink.interface.js';
import { assertConservation } from './testing/ledger-under-test.js';

const SOAK = process.env['LEDGER_SOAK'] === '1';
const ENTRIES = SOAK ? 2_000_000 : 300_000;
const MIB = 1_048_576;

/** Takes rows one after the other, and remembers only how far it got. */
class SequenceSink implements LedgerSink {
  isAway = true;
  /** Sequence of the row that comes next. */
  next = 0;
  outOfOrder = 0;

  async prepare(): Promise<void> {}

  async write(batch: RowBatch): Promise<WriteResult> {
    if (this.isAway) throw new SinkTransientError('it is away', { outcomeKnown: true });
    for (let index = 0; index < batch.count; index++) {
      const { sequence } = readUuid(RowCodec.uuidOf(batch.row(index)))!;
      if (sequence !== this.next) this.outOfOrder++;
      this.next = sequence + 1;
    }
    return { written: batch.count, duplicates: [], conflicts: [] };
  }

  async find(): Promise<number[]> {
    return [];
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}
}

let dir: string;
let losses: { kind: string; count: number; reason: string | undefined }[];
beforeEach(async () => {
  losses = [];
  dir = await mkdtemp(join(tmpdir(), 'ledger-journal-outage-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function ledgerOn(sink: LedgerSink, options: LedgerOptions): Ledger {
  const write = (): void => undefined;
  const onLoss = ({ kind, count, reason }: LossReport): void => {
    losses.push({ kind, count, reason });
  };
  const { ledger } = createSinkLedger(
    defineLedger({ name: 'outage' }),
    resolveLedgerOptions({ sink, journalDir: join(dir, 'journal'), onLoss, ...options }),
    { sink },
    { log: write, warn: write, error: write },
  );
  void ledger.writer.start(write);
  return ledger;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Encoded bytes of a row while none was written: all rows have the same columns. */
function rowBytes(ledger: Ledger): number {
  const { bytes, queued } = ledger.stats();
  return bytes / queued;
}

/**
 * Offers entries, and waits while a quarter of the memory is not on disk yet: the slabs in use are up to
 * half, so at least a quarter is left. On a disk that can't keep up entries are dropped, as promised.
 */
async function offer(ledger: Ledger, count: number, onTurn = (): void => undefined): Promise<void> {
  const { bufferMaxBytes } = ledger.options;
  for (let i = 0; i < count; i++) {
    ledger.intake.offer({ userId: i + 1, promptTokens: i });
    if (i % 500 !== 499) continue;
    do {
      await turn();
      onTurn();
    } while (ledger.stats().journal!.unsyncedRows * rowBytes(ledger) > bufferMaxBytes / 4);
  }
}

describe("an outage with overflow 'disk'", () => {
  it(`drops none of ${ENTRIES} entries, in little memory, and writes them oldest first`, async () => {
    const sink = new SequenceSink();
    const ledger = ledgerOn(sink, {
      ...{ bufferMaxBytes: 16 * MIB, bufferSize: 10_000, batchSize: 5000 },
      ...{ retryMinMs: 10, retryMaxMs: 50, flushMs: 50 },
    });
    expect(ledger.options.overflow).toBe('disk');
    const rssBefore = process.memoryUsage().rss;
    let most = 0;
    await offer(ledger, ENTRIES, () => {
      most = Math.max(most, process.memoryUsage().rss - rssBefore);
    });
    const away = ledger.stats();
    expect(away).toMatchObject({ dropped: 0, written: 0, queued: ENTRIES });
    expect(away.saturation).toBeLessThan(1);
    expect(away.journal).toMatchObject({ state: expect.stringMatching(/writing|asynchronous/) });
    expect(most).toBeLessThan(100 * MIB);
    sink.isAway = false;
    expect(await ledger.writer.flush(120_000)).toBe(true);
    expect(sink).toMatchObject({ next: ENTRIES, outOfOrder: 0 });
    await ledger.shutdown.finish();
    assertConservation(ledger.stats());
    expect(ledger.stats()).toMatchObject({ written: ENTRIES, dropped: 0, spilled: 0 });
    expect(await readdir(join(dir, 'journal', 'outage'))).toEqual([]);
  }, 300_000);

  it('leaves at the stop what is on disk only where it is, and counts it', async () => {
    const sink = new SequenceSink();
    const ledger = ledgerOn(sink, {
      ...{ bufferMaxBytes: 8 * MIB, shutdownTimeoutMs: 500, batchSize: 1000 },
      ...{ retryMinMs: 10, retryMaxMs: 50 },
    });
    await offer(ledger, 100_000);
    await ledger.shutdown.finish();
    const stats = ledger.stats();
    assertConservation(stats);
    expect(stats).toMatchObject({ spilled: 100_000, depth: 0, inFlight: 0, bytes: 0 });
    expect(losses.reduce((sum, { count }) => sum + count, 0)).toBe(100_000);
    const [folder] = await readdir(join(dir, 'journal', 'outage'));
    expect(await readdir(join(dir, 'journal', 'outage', folder!))).toContain('released');
  });

  it('counts rows that were damaged on disk, keeps their file, and writes all others', async () => {
    const sink = new SequenceSink();
    const ledger = ledgerOn(sink, {
      ...{ bufferMaxBytes: 8 * MIB, batchSize: 1000 },
      ...{ retryMinMs: 10, retryMaxMs: 50, flushMs: 50 },
    });
    const ENTRIES = 200_000;
    await offer(ledger, ENTRIES - 1);
    const rowsOfSlab = SLAB_BYTES / rowBytes(ledger);
    const folder = join(dir, 'journal', 'outage', ledger.stats().run);
    const path = join(folder, '000001.wal');
    while (ledger.stats().journal!.unsyncedRows > 0) await turn();
    const file = await open(path, 'r+');
    await file.write(Buffer.alloc(100), 0, 100, 12 * MIB);
    await file.close();
    sink.isAway = false;
    await ledger.awaited.record({ userId: ENTRIES }, { timeoutMs: 60_000 });
    const stats = ledger.stats();
    assertConservation(stats);
    expect(stats.spilled).toBeGreaterThan(0);
    // Slabs are read back separately, and nothing of the file beyond the damage is lost.
    expect(stats.spilled).toBeLessThanOrEqual(rowsOfSlab);
    expect(stats.written).toBe(ENTRIES - stats.spilled);
    expect(sink.next).toBe(ENTRIES);
    await ledger.shutdown.finish();
    assertConservation(ledger.stats());
    expect(losses).toEqual([{ kind: 'spilled', count: stats.spilled, reason: path }]);
    expect(await readdir(folder)).toContain('000001.wal.damaged');
    expect((await readdir(folder)).filter((name) => name.endsWith('.wal'))).toEqual([]);
  }, 120_000);
});
