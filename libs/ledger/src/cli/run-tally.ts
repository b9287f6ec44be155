import { readUuid } from '../codec/uuid.js';
import { SequenceSet, type SequenceRange } from './sequence-set.js';

/** Where an entry was found. @internal */
export type FoundIn = 'table' | 'deadLetters' | 'spills' | 'stream';

/**
 * A run's sequences are dense from 0 on; those of a foreign UUIDv7 are random in 2^42. One entry in
 * 65,536 sequences suffices to count as a run, so a foreign uuid is mistaken for one once in 2^26.
 */
const SEQUENCES_PER_ENTRY = 65_536;
/** Ranges that are kept of one run; all sequences in them are counted. */
const MAX_RANGES = 100;

/** What the uuids say of one run. @internal */
export interface RunReport {
  /** Eight hex digits, as in `stats().run`. */
  readonly run: string;
  /** Milliseconds since 1970 of its first and last entry that was seen. */
  readonly from: number;
  readonly to: number;
  /** Entries that it queued at least: the highest sequence seen, plus 1. */
  readonly queued: number;
  readonly table: number;
  readonly deadLetters: number;
  readonly spills: number;
  /** In messages that no writer is done with. */
  readonly stream: number;
  /** Sequences that are nowhere. */
  readonly missing: number;
  /** The first of them, in order. */
  readonly missingRanges: readonly SequenceRange[];
  /** Sequences that are nowhere and may be in flight still, or were not looked for. */
  readonly undecided: number;
}

interface Run {
  readonly seen: SequenceSet;
  /** Sequences that were found outside the period. */
  readonly outside: SequenceSet;
  readonly counts: Record<FoundIn, number>;
  from: number;
  to: number;
  /** The lowest sequence that is too young to be judged. */
  youngFrom: number;
}

/** Puts uuids together to runs, and finds the sequences that are missing. @internal */
export class RunTally {
  /** Entries whose uuid is of no run: made by `newEntryUuid`, of an idempotency key, or foreign. */
  withoutRun = 0;
  readonly #runs = new Map<string, Run>();
  readonly #isPeriod: boolean;

  /** @param isPeriod only entries of a period are added, so that runs may begin before it */
  constructor(isPeriod: boolean) {
    this.#isPeriod = isPeriod;
  }

  /** @param isYoung entries about it may be in flight still */
  add(uuid: string, foundIn: FoundIn, isYoung: boolean): void {
    const origin = readUuid(uuid);
    if (origin === undefined) {
      this.withoutRun++;
      return;
    }
    const { createdAt, sequence } = origin;
    const run = this.#runOf(origin.run);
    run.seen.add(sequence);
    run.counts[foundIn]++;
    run.from = Math.min(run.from, createdAt);
    run.to = Math.max(run.to, createdAt);
    if (isYoung && sequence < run.youngFrom) run.youngFrom = sequence;
  }

  /** An entry of another period: it fills a hole, and counts for nothing else. */
  addOutside(uuid: string): void {
    const origin = readUuid(uuid);
    const run = origin && this.#runs.get(origin.run);
    if (origin === undefined || run === undefined) return;
    if (origin.sequence > run.seen.min && origin.sequence < run.seen.max) {
      run.outside.add(origin.sequence);
    }
  }

  #runOf(name: string): Run {
    let run = this.#runs.get(name);
    if (run !== undefined) return run;
    run = {
      seen: new SequenceSet(),
      outside: new SequenceSet(),
      counts: { table: 0, deadLetters: 0, spills: 0, stream: 0 },
      from: Number.POSITIVE_INFINITY,
      to: Number.NEGATIVE_INFINITY,
      youngFrom: Number.POSITIVE_INFINITY,
    };
    this.#runs.set(name, run);
    return run;
  }

  /** Oldest run first. Uuids that make no run count as `withoutRun` from now on. */
  report(): RunReport[] {
    const reports: RunReport[] = [];
    for (const [name, run] of this.#runs) {
      const { seen } = run;
      const first = this.#isPeriod ? seen.min : 0;
      if (seen.max - first + 1 <= SEQUENCES_PER_ENTRY * seen.size) {
        reports.push(reportOf(name, run, first));
      } else {
        this.withoutRun += seen.size;
        this.#runs.delete(name);
      }
    }
    return reports.sort((a, b) => a.from - b.from);
  }
}

function reportOf(name: string, run: Run, first: number): RunReport {
  const { seen, outside, counts, from, to, youngFrom } = run;
  // A hole counts once an entry after it is old, because the run had then passed it.
  const last = youngFrom === Number.POSITIVE_INFINITY ? seen.max : seen.highestBelow(youngFrom);
  const ranges: SequenceRange[] = [];
  let missing = 0;
  let undecided = 0;
  for (const gap of seen.gaps(first, seen.max)) {
    for (const hole of outside.gaps(gap.from, gap.to)) {
      const count = hole.to - hole.from + 1;
      if (hole.from > last) {
        undecided += count;
        continue;
      }
      missing += count;
      if (ranges.length < MAX_RANGES) ranges.push(hole);
    }
  }
  const found = { ...counts, missing, missingRanges: ranges, undecided };
  return { run: name, from, to, queued: seen.max + 1, ...found };
}
