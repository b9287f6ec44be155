import { Batch, type RowBlock } from '../channel/batch.js';
import { narrowRow } from '../journal/fit-row.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import { fingerprintOf, type RowLayout } from './row-layout.js';

/** Contiguous rows of a batch with one layout. @internal */
export interface LayoutPart {
  readonly batch: RowBatch;
  readonly layout: RowLayout;
  /** Index of its first row in the whole batch. */
  readonly from: number;
}

/**
 * Divides a batch for publishing. Rows of an earlier run may be older than a column of the
 * definition. They are published without it, so that writers use the value that the table gave to
 * existing rows. A NULL would mean that the entry has no value.
 *
 * @param layout of the definition
 * @internal
 */
export function splitLayouts(batch: RowBatch, layout: RowLayout): LayoutPart[] {
  const ranges = batch instanceof Batch ? (batch as Batch).ranges : [];
  if (ranges.every(({ slab }) => isWhole(slab))) return [{ batch, layout, from: 0 }];
  const parts: LayoutPart[] = [];
  let from = 0;
  for (const range of ranges) {
    const { slab } = range;
    const part = new Batch([range]);
    parts.push(isWhole(slab) ? { batch: part, layout, from } : narrowed(part, layout, slab, from));
    from += part.count;
  }
  return parts;
}

function isWhole({ absent }: RowBlock): boolean {
  return absent === undefined || absent.size === 0;
}

function narrowed(
  part: Batch,
  { columns: all }: RowLayout,
  { absent }: RowBlock,
  from: number,
): LayoutPart {
  const kept = [...all.keys()].filter((index) => !absent!.has(all[index]!.column));
  const columns = kept.map((index) => all[index]!);
  const rows = Array.from({ length: part.count }, (_, index) =>
    narrowRow(part.row(index), all.length, kept),
  );
  const block = new NarrowBlock(rows);
  const batch = new Batch([{ slab: block, from: 0, to: rows.length, position: part.position }]);
  return { batch, layout: { fingerprint: fingerprintOf(columns), columns }, from };
}

/** Rows in separate memory. */
class NarrowBlock implements RowBlock {
  readonly bytes: Buffer;
  readonly #ends: number[] = [];

  constructor(rows: readonly Buffer[]) {
    this.bytes = Buffer.concat(rows);
    let end = 0;
    for (const { length } of rows) this.#ends.push((end += length));
  }

  startOf(row: number): number {
    return row === 0 ? 0 : this.#ends[row - 1]!;
  }

  endOf(row: number): number {
    return this.#ends[row]!;
  }

  /** Not used: the age is read from the original batch. */
  appendedAt(): number {
    return 0;
  }
}
