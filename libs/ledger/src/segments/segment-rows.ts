import type { ColumnCodec } from '../codec/column-codec.js';
import { createColumn } from '../codec/create-column.js';
import { rowTargetOf } from '../codec/row-target.js';
import { formatUuid } from '../codec/uuid.js';
import type { ColumnType } from '../entry/ledger-definition.js';
import { fieldsOf } from './row-frame.js';
import type { SegmentColumn } from './segment-description.js';

/** Bytes of a field, for types of fixed length. Source: PostgreSQL's send functions. */
const FIXED_BYTES: Partial<Record<ColumnType, number>> = {
  bigint: 8,
  integer: 4,
  boolean: 1,
  uuid: 16,
  timestamptz: 8,
};
/** jsonb begins with the version of its format. */
const JSONB_VERSION = 1;
/** The number of groups, weight, sign and scale of a numeric; a group is four decimal digits. */
const NUMERIC_HEADER_BYTES = 8;
const NEGATIVE = 0x4000;
const GROUP_DIGITS = 4;
const LARGEST_GROUP = 9999;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads rows of a segment as entries, by the columns in its header: those of the definition that
 * wrote them, which may be older.
 *
 * @internal
 */
export class SegmentRows {
  readonly #columns: readonly SegmentColumn[];
  readonly #codecs: readonly ColumnCodec[];

  constructor(columns: readonly SegmentColumn[]) {
    this.#columns = columns;
    this.#codecs = columns.map(({ type }) => createColumn(type));
  }

  /** The uuid of a checked row; undefined if its first field is not one. */
  uuid(row: Buffer): string | undefined {
    const [uuid] = fieldsOf(row, 1);
    return uuid?.length === 16 ? formatUuid(uuid, 0) : undefined;
  }

  /**
   * A checked row as plain JSON.
   *
   * @returns undefined if a field is not of its column's type: no ledger wrote it
   */
  entry(row: Buffer): Record<string, unknown> | undefined {
    const fields = fieldsOf(row, this.#columns.length);
    const entry: [string, unknown][] = [];
    try {
      for (const [index, bytes] of fields.entries()) {
        const { field, type } = this.#columns[index]!;
        if (bytes !== null && !isOfType(type, bytes)) return undefined;
        entry.push([field, bytes === null ? null : read(this.#codecs[index]!, bytes)]);
      }
      // Unlike an assignment, this also creates a property for `__proto__`.
      return Object.fromEntries(entry);
    } catch {
      return undefined;
    }
  }
}

function isOfType(type: ColumnType, bytes: Buffer): boolean {
  const fixed = FIXED_BYTES[type];
  if (fixed !== undefined) return bytes.length === fixed;
  if (type === 'numeric') return isNumeric(bytes);
  if (type === 'jsonb' && bytes[0] !== JSONB_VERSION) return false;
  // Throws if the text is not UTF-8, because replacing characters would falsify it.
  UTF8.decode(bytes);
  return true;
}

/**
 * Like the codec writes it, with every group before and after the point; NaN and infinity are
 * excluded.
 */
function isNumeric(bytes: Buffer): boolean {
  if (bytes.length < NUMERIC_HEADER_BYTES) return false;
  const groups = bytes.readInt16BE(0);
  const sign = bytes.readUInt16BE(4);
  const groupsBehindPoint = Math.ceil(bytes.readUInt16BE(6) / GROUP_DIGITS);
  if (bytes.length !== NUMERIC_HEADER_BYTES + 2 * groups) return false;
  if (groups !== bytes.readInt16BE(2) + 1 + groupsBehindPoint) return false;
  for (let group = 0; group < groups; group++) {
    if (bytes.readUInt16BE(NUMERIC_HEADER_BYTES + 2 * group) > LARGEST_GROUP) return false;
  }
  return sign === 0 || sign === NEGATIVE;
}

function read(codec: ColumnCodec, bytes: Buffer): unknown {
  return codec.read(rowTargetOf(bytes), 0, bytes.length);
}
