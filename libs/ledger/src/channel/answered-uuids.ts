import { createRowTarget } from '../codec/row-target.js';
import { isLedgerUuidV8, isUuidOfRun, parseUuid, sequenceOf, timeOf } from '../codec/uuid.js';

/** Answers of one half; two full halves of keys, the larger kind, take about 6 MiB. */
const MOST = 65_536;

/** Answers that came one after the other. */
class Half {
  /** Of uuids of the run: milliseconds by sequence. */
  readonly times = new Map<number, number>();
  /** Uuids of idempotency keys. */
  readonly keys = new Set<string>();

  get isFull(): boolean {
    return this.times.size + this.keys.size >= MOST;
  }
}

/**
 * The uuids of a run and of idempotency keys that callers got as answers: the newest 65,536 at least, and
 * twice as many at most. The older half is forgotten at once. If uuids were removed one by one, the table
 * would be copied again and again.
 *
 * @internal
 */
export class AnsweredUuids {
  readonly #run: number;
  readonly #target = createRowTarget(16);
  #newer = new Half();
  #older = new Half();

  constructor(run: number) {
    this.#run = run;
  }

  /** Remembers a uuid; ignores those of other makers. */
  add(uuid: string): void {
    const { bytes, view } = this.#target;
    parseUuid(uuid, bytes, 0);
    if (isUuidOfRun(view, this.#run)) this.#newer.times.set(sequenceOf(view), timeOf(view));
    else if (isLedgerUuidV8(view)) this.#newer.keys.add(uuid);
    if (!this.#newer.isFull) return;
    this.#older = this.#newer;
    this.#newer = new Half();
  }

  /** @param view of a uuid of the run */
  hasOfRun(view: DataView): boolean {
    const sequence = sequenceOf(view);
    const time = this.#newer.times.get(sequence) ?? this.#older.times.get(sequence);
    return time === timeOf(view);
  }

  /** @param uuid of an idempotency key, in lower case */
  hasOfKey(uuid: string): boolean {
    return this.#newer.keys.has(uuid) || this.#older.keys.has(uuid);
  }
}
