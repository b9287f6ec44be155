import type { RowBlock } from '../channel/batch.js';
import type { ReplayedFile } from './replayed-file.js';

/** Facts about all rows of a file. @internal */
export interface RowOrigin {
  /** Monotonic milliseconds of the earliest possible acceptance: no row is older. */
  readonly queuedAt: number;
  /** Columns of the definition that the file lacks. */
  readonly absent: ReadonlySet<string>;
}

/** Consecutive rows of one file for a worker. @internal */
export class RecoveredBlock implements RowBlock {
  /** Whether the rows may be in the table: a promoted server may or may not have them. */
  mayExist = false;

  constructor(
    readonly file: ReplayedFile,
    readonly bytes: Buffer,
    private readonly ends: readonly number[],
    private readonly origin: RowOrigin,
  ) {}

  get absent(): ReadonlySet<string> {
    return this.origin.absent;
  }

  get rows(): number {
    return this.ends.length;
  }

  startOf(row: number): number {
    return row === 0 ? 0 : this.ends[row - 1]!;
  }

  endOf(row: number): number {
    return this.ends[row]!;
  }

  appendedAt(): number {
    return this.origin.queuedAt;
  }
}

/** Collects rows of one file, because frames may be far smaller than a batch. @internal */
export class BlockBuilder {
  #slices: Buffer[] = [];
  #ends: number[] = [];
  #bytes = 0;

  get rows(): number {
    return this.#ends.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param slice whole rows @param ends end of each row in the slice */
  add(slice: Buffer, ends: Iterable<number>): void {
    for (const end of ends) this.#ends.push(this.#bytes + end);
    this.#slices.push(slice);
    this.#bytes += slice.length;
  }

  /** The rows collected so far, in separate memory; undefined if there are none. */
  take(file: ReplayedFile, origin: RowOrigin): RecoveredBlock | undefined {
    if (this.#ends.length === 0) return undefined;
    const bytes = Buffer.concat(this.#slices, this.#bytes);
    const block = new RecoveredBlock(file, bytes, this.#ends, origin);
    this.#slices = [];
    this.#ends = [];
    this.#bytes = 0;
    return block;
  }
}
