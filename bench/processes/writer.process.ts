import { inputOf, nextMessage, tell } from '../setup/child.js';
import { createBenchGateway, createBenchLedger, settledIn } from '../setup/bench-ledger.js';
import { makeEntry, type EntryKind } from '../setup/entries.js';
import { LoopWatch } from '../setup/loop-watch.js';
import type { LedgerOptions } from '../../libs/ledger/src/config/ledger-options.interface.js';
import { newEntryUuid } from '../../libs/ledger/src/codec/uuid.js';

export interface WriterInput {
  readonly url: string;
  /**
   * Address of a stream: entries are published there, like by a gateway, and not written to the
   * database.
   */
  readonly stream?: string;
  readonly kind: EntryKind;
  readonly options: LedgerOptions;
}

/** One order: a number of entries, at a rate (0: as fast as they are written). */
export interface WriterOrder {
  readonly entries: number;
  readonly perSecond: number;
  /**
   * Sends the first uuid of each hundredth of a second to the parent, which watches when it becomes
   * visible.
   */
  readonly isProbed: boolean;
}

const PROBE_MS = 10;

const { url, stream, kind, options } = inputOf<WriterInput>();
const bench =
  stream === undefined
    ? await createBenchLedger(url, kind, options)
    : await createBenchGateway(stream, kind, options);
const { intake, counters, writer } = bench.ledger;
const flushes: number[] = [];
writer.onFlush(({ ms }) => flushes.push(ms));

/** Records at a rate: the entries due since the last millisecond, then lets the loop turn. */
async function recordAtRate({ entries, perSecond, isProbed }: WriterOrder): Promise<void> {
  const startedAt = performance.now();
  let probedAt = 0;
  for (let i = 0; i < entries;) {
    const elapsed = performance.now() - startedAt;
    const due = Math.min(entries, Math.ceil((elapsed * perSecond) / 1000));
    if (isProbed && i < due && elapsed - probedAt >= PROBE_MS) {
      probedAt = elapsed;
      const uuid = newEntryUuid();
      intake.offer({ ...makeEntry(kind, i++), uuid });
      tell({ uuid, at: Date.now() });
    }
    for (; i < due; i++) intake.offer(makeEntry(kind, i));
    const nextDueMs = (i * 1000) / perSecond - (performance.now() - startedAt);
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, nextDueMs)));
  }
  await writer.flush(60_000);
}

tell({ isReady: true });
for (;;) {
  const order = await nextMessage<WriterOrder | { isOver: true }>();
  if ('isOver' in order) break;
  flushes.length = 0;
  const written = settledIn(bench.ledger);
  const { dropped } = counters;
  // Watching wakes the loop each millisecond, which a few entries would not.
  const watch = new LoopWatch(order.perSecond === 0 || order.perSecond >= 1000);
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  if (order.perSecond > 0) await recordAtRate(order);
  else await bench.pump(order.entries);
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  tell({
    ms,
    cpuMs: (user + system) / 1000,
    loop: watch.stop(),
    written: settledIn(bench.ledger) - written,
    dropped: counters.dropped - dropped,
    flushes: [...flushes],
  });
}
await bench.close();
process.disconnect();
