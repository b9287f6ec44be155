/** Sequences of one page of the bitmap. */
const PAGE_BITS = 65_536;
/** Up to this size a list is smaller than a page; each foreign uuid forms its own run. */
const MAX_LISTED = 64;

/** Sequences from `from` to `to`, both among them. @internal */
export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}

/**
 * A set of sequences of one run: a bit for each, so that 100 million of them need 12 MiB.
 *
 * @internal
 */
export class SequenceSet {
  /** Different sequences. */
  size = 0;
  min = Number.POSITIVE_INFINITY;
  max = -1;
  #listed: number[] | undefined = [];
  readonly #pages = new Map<number, Uint32Array>();

  /** @returns false if it was there already */
  add(sequence: number): boolean {
    if (this.has(sequence)) return false;
    this.size++;
    if (sequence < this.min) this.min = sequence;
    if (sequence > this.max) this.max = sequence;
    if (this.#listed !== undefined && this.#listed.length < MAX_LISTED) {
      this.#listed.push(sequence);
      return true;
    }
    for (const listed of this.#listed ?? []) this.#setBit(listed);
    this.#listed = undefined;
    this.#setBit(sequence);
    return true;
  }

  has(sequence: number): boolean {
    if (this.#listed !== undefined) return this.#listed.includes(sequence);
    const page = this.#pages.get(Math.floor(sequence / PAGE_BITS));
    const bit = sequence % PAGE_BITS;
    return page !== undefined && (page[bit >>> 5]! & (1 << (bit & 31))) !== 0;
  }

  #setBit(sequence: number): void {
    const number = Math.floor(sequence / PAGE_BITS);
    let page = this.#pages.get(number);
    if (page === undefined) this.#pages.set(number, (page = new Uint32Array(PAGE_BITS / 32)));
    const bit = sequence % PAGE_BITS;
    page[bit >>> 5]! |= 1 << (bit & 31);
  }

  /** The highest sequence below a limit; -1 if there is none. */
  highestBelow(limit: number): number {
    for (let sequence = Math.min(limit - 1, this.max); sequence >= this.min; sequence--) {
      if (this.has(sequence)) return sequence;
    }
    return -1;
  }

  /** Sequences between two bounds, both among them, that are not in the set; in order. */
  *gaps(from: number, to: number): Generator<SequenceRange, void> {
    let start: number | undefined;
    for (let sequence = from; sequence <= to; sequence++) {
      if (this.has(sequence)) {
        if (start !== undefined) yield { from: start, to: sequence - 1 };
        start = undefined;
      } else {
        start ??= sequence;
        sequence = this.#lastOfEmptyPage(sequence);
      }
    }
    if (start !== undefined) yield { from: start, to };
  }

  /** The end of a page in which nothing is, so that a large hole costs nothing to walk over. */
  #lastOfEmptyPage(sequence: number): number {
    const number = Math.floor(sequence / PAGE_BITS);
    const isEmpty = this.#listed === undefined && !this.#pages.has(number);
    return isEmpty ? (number + 1) * PAGE_BITS - 1 : sequence;
  }
}
