import { RowCodec } from '../codec/row-codec.js';
import { rowColumnsOf } from '../entry/columns.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';

/** One column of a row. @publicApi */
export interface RowColumn {
  /** Field of the entry, in camel case. */
  readonly field: string;
  /** Name of the column, in snake case. */
  readonly column: string;
  readonly type: ColumnType;
  /** Whether the column may be NULL. */
  readonly isNullable: boolean;
}

/**
 * Reads the rows of a batch. Columns are those of the definition: built-in ones first, then
 * declared ones.
 *
 * @publicApi
 */
export interface RowReader<T extends LedgerTable = LedgerTable> {
  /** In the order of the row. */
  readonly columns: readonly RowColumn[];
  /** The uuid of a row; reads nothing else. */
  uuid(row: Buffer): string;
  /**
   * A row as plain JSON: ids, `bigint` and `numeric` are strings, times are ISO 8601.
   *
   * @throws SinkHaltError if the row belongs to another definition
   */
  entry(row: Buffer): StoredEntry<T>;
  /** All rows of a batch as plain JSON, in order; each is read on demand. */
  entries(batch: RowBatch): Generator<StoredEntry<T>, void, undefined>;
  /**
   * The fields of a row in the order of `columns`, in PostgreSQL's binary format; null for NULL.
   * Views on the row, without copies.
   *
   * @throws SinkHaltError if the row belongs to another definition
   */
  fields(row: Buffer): (Buffer | null)[];
}

/** Bytes of the number of fields, and of the length before each field. */
const COUNT_BYTES = 2;
const LENGTH_BYTES = 4;

/** Creates a reader for the rows of a definition. Reuse it for all batches. @publicApi */
export function createRowReader<T extends LedgerTable>(definition: T): RowReader<T> {
  return new DefinitionRowReader(definition);
}

class DefinitionRowReader<T extends LedgerTable> implements RowReader<T> {
  readonly columns: readonly RowColumn[];
  readonly #codec: RowCodec;

  constructor(definition: T) {
    this.columns = Object.freeze(
      rowColumnsOf(definition).map(({ field, column, type, isNullable }) =>
        Object.freeze({ field, column, type, isNullable }),
      ),
    );
    this.#codec = new RowCodec(definition);
  }

  uuid(row: Buffer): string {
    return RowCodec.uuidOf(row);
  }

  entry(row: Buffer): StoredEntry<T> {
    this.#check(row);
    return this.#codec.decode(row) as unknown as StoredEntry<T>;
  }

  *entries(batch: RowBatch): Generator<StoredEntry<T>, void, undefined> {
    for (let index = 0; index < batch.count; index++) yield this.entry(batch.row(index));
  }

  fields(row: Buffer): (Buffer | null)[] {
    this.#check(row);
    let start = COUNT_BYTES;
    return this.columns.map(() => {
      const length = row.readInt32BE(start);
      const end = start + LENGTH_BYTES + Math.max(length, 0);
      const field = length < 0 ? null : row.subarray(start + LENGTH_BYTES, end);
      start = end;
      return field;
    });
  }

  /** A halt keeps every entry until the definitions agree again. */
  #check(row: Buffer): void {
    const count = row.readInt16BE(0);
    if (count === this.columns.length) return;
    throw new SinkHaltError(
      `a row has ${count} columns, and its definition has ${this.columns.length}`,
    );
  }
}
