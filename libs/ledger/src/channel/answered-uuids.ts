import { createRowTarget } from '../codec/row-target.js';
import { isLedgerUuidV8, isUuidOfRun, parseUuid, sequenceOf, timeOf } from '../codec/uuid.js';

/**
 * Maximum number of answers of one half. Two full halves of keys, the larger kind, take about 6
 * MiB.
 */
const MOST = 65_536;

/** Consecutive answers. */
class Half {
  /** Milliseconds by sequence, for uuids of the run. */
  readonly times = new Map<number, number>();
  /** Uuids of idempotency keys. */
  readonly keys = new Set<string>();

  get isFull(): boolean {
    return this.times.size + this.keys.size >= MOST;
  }
}

/**
 * The uuids of a run and of idempotency keys that callers received. It keeps at least the newest
 * 65,536 and at most twice as many. The older half is forgotten as a whole, because the removal of
 * single uuids would copy the table again and again.
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

  /** Remembers a uuid. Uuids from elsewhere are ignored. */
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
