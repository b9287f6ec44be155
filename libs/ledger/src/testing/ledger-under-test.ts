import { assembleLedger, type Ledger, type LedgerParts } from '../assemble-ledger.js';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { SpilledEntry, SpilledRows } from '../ports/spill-store.interface.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import { InMemorySink } from './in-memory.sink.js';
import { ManualClock } from './manual-clock.js';

/** A ledger without database and without real time, for the specs of its parts. @internal */
export interface LedgerUnderTest {
  readonly ledger: Ledger;
  readonly sink: InMemorySink;
  readonly clock: ManualClock;
  readonly letters: DeadLetter[];
  readonly spilled: SpilledEntry[];
  readonly lines: string[];
  /** Rows that were spilled as bytes after the seal and at the exit. */
  readonly rows: SpilledRows[];
  /** Set to make the next spills fail, of entries and of rows. */
  readonly spillFault: { error: Error | undefined };
}

/** bigint ids, no declared columns. */
export const PLAIN_TABLE: LedgerTable = {
  name: 'default',
  schema: undefined,
  table: 'usage_entries',
  ids: 'bigint',
  columns: {},
};

/** Assembles a ledger around an in-memory sink; nothing is started. */
export function ledgerUnderTest(
  options: LedgerOptions = {},
  table: LedgerTable = PLAIN_TABLE,
  more: (clock: ManualClock) => Partial<LedgerParts> = () => ({}),
): LedgerUnderTest {
  const sink = new InMemorySink();
  const clock = new ManualClock();
  const letters: DeadLetter[] = [];
  const spilled: SpilledEntry[] = [];
  const rows: SpilledRows[] = [];
  const lines: string[] = [];
  const spillFault = { error: undefined as Error | undefined };
  const write = (line: string): void => void lines.push(line);
  const ledger = assembleLedger({
    table,
    options: resolveLedgerOptions(options),
    sink,
    deadLetters: { store: async (more) => void letters.push(...more) },
    spills: {
      probe: async () => undefined,
      spill: async (entries) => {
        if (spillFault.error !== undefined) throw spillFault.error;
        spilled.push(...entries);
        return { file: 'spill.ndjson', entries: spilled.length };
      },
    },
    rowSpill: {
      keep: ({ slices, count, position }) => {
        if (spillFault.error !== undefined) return undefined;
        // Slabs are reused.
        rows.push({ slices: slices.map((slice) => Buffer.from(slice)), count, position });
        return 'spill.wal';
      },
      close: () => undefined,
    },
    clock,
    logger: { log: write, warn: write, error: write },
    random: () => 0.5,
    ...more(clock),
  });
  return { ledger, sink, clock, letters, spilled, rows, lines, spillFault };
}

/** Starts the workers of a ledger under test. */
export async function start({ ledger, clock }: LedgerUnderTest): Promise<void> {
  void ledger.writer.start(() => undefined);
  await clock.turn();
}

/** The two sums of the conservation law, each with its expected value. */
export function conservation(stats: LedgerStats): Record<'offered' | 'queued', [number, number]> {
  const { queued, recovered, received, dropped, sealed, invalid, waiting } = stats;
  const { written, published, duplicate, deadLettered, spilled, depth, inFlight } = stats;
  return {
    offered: [stats.offered, queued + dropped + sealed + invalid + waiting],
    queued: [
      queued + recovered + received,
      written + published + duplicate + deadLettered + spilled + depth + inFlight,
    ],
  };
}

/** @throws Error that shows both sums if the law is broken */
export function assertConservation(stats: LedgerStats): void {
  for (const [name, [left, right]] of Object.entries(conservation(stats))) {
    if (left !== right) throw new Error(`conservation of ${name}: ${left} is not ${right}`);
  }
}
