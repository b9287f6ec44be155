import { Batch, type RowBlock } from '../channel/batch.js';
import { narrowRow } from '../journal/fit-row.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import { fingerprintOf, type RowLayout } from './row-layout.js';

/** Rows of a batch that follow each other and have one layout. @internal */
export interface LayoutPart {
  readonly batch: RowBatch;
  readonly layout: RowLayout;
  /** Index in the whole batch of its first row. */
  readonly from: number;
}

/**
 * A batch as it is to be published. Rows of an earlier run may be older than a column of the definition: they
 * are published without it, so that writers give them what the table gave its own rows. With a NULL in its
 * place they would say that they have no value.
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

/** Rows in memory of their own. */
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

  /** Nobody asks how old they are: the batch that they come from is asked. */
  appendedAt(): number {
    return 0;
  }
}
