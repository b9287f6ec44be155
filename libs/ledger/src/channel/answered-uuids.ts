import { createRowTarget } from '../codec/row-target.js';
import { isLedgerUuidV8, isUuidOfRun, parseUuid, sequenceOf } from '../codec/uuid.js';

/** Of a generation. Two of them, full, are about 6 MiB. */
const MOST = 65_536;
/** Sequences that share one number. */
const GROUP = 32;

/** Answers that came one after the other. */
class Generation {
  /** Bits of the sequences of each group: callers mostly get one sequence after the other. */
  readonly sequences = new Map<number, number>();
  /** Uuids of idempotency keys. */
  readonly keys = new Set<string>();

  get isFull(): boolean {
    return this.sequences.size >= MOST || this.keys.size >= MOST;
  }

  addSequence(sequence: number): void {
    const group = Math.floor(sequence / GROUP);
    this.sequences.set(group, (this.sequences.get(group) ?? 0) | bitOf(sequence));
  }

  hasSequence(sequence: number): boolean {
    const bits = this.sequences.get(Math.floor(sequence / GROUP)) ?? 0;
    return (bits & bitOf(sequence)) !== 0;
  }
}

function bitOf(sequence: number): number {
  return 1 << (sequence % GROUP);
}

/**
 * The uuids of a run and of idempotency keys that callers got as answers: the newest 65,536 of either kind at
 * least. Nothing is taken out one by one, which would have a table copied all the time; the older half is
 * forgotten at once.
 *
 * Of a run's uuid only the sequence is kept, since no two entries of a run share it.
 *
 * @internal
 */
export class AnsweredUuids {
  readonly #run: number;
  readonly #target = createRowTarget(16);
  #newer = new Generation();
  #older = new Generation();

  constructor(run: number) {
    this.#run = run;
  }

  /** Remembers a uuid; those of other makers are of no interest. */
  add(uuid: string): void {
    const { bytes, view } = this.#target;
    parseUuid(uuid, bytes, 0);
    if (isUuidOfRun(view, this.#run)) this.#newer.addSequence(sequenceOf(view));
    else if (isLedgerUuidV8(view)) this.#newer.keys.add(uuid);
    if (!this.#newer.isFull) return;
    this.#older = this.#newer;
    this.#newer = new Generation();
  }

  /** @param view of a uuid of the run */
  hasOfRun(view: DataView): boolean {
    const sequence = sequenceOf(view);
    return this.#newer.hasSequence(sequence) || this.#older.hasSequence(sequence);
  }

  /** @param uuid of an idempotency key, in lower case */
  hasOfKey(uuid: string): boolean {
    return this.#newer.keys.has(uuid) || this.#older.keys.has(uuid);
  }
}
