import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';
import { rowColumnsOf } from '../entry/columns.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import type { BinaryParameter } from '../postgres/frontend-messages.js';
import { realTimers } from '../clock/real-timers.js';

/** OIDs of a type and of its array. Source: PostgreSQL's pg_type.dat; they never change. */
const TYPE_OIDS: Readonly<Record<ColumnType | 'bytea', readonly [element: number, array: number]>> =
  {
    boolean: [16, 1000],
    bytea: [17, 1001],
    bigint: [20, 1016],
    integer: [23, 1007],
    text: [25, 1009],
    timestamptz: [1184, 1185],
    numeric: [1700, 1231],
    uuid: [2950, 2951],
    jsonb: [3802, 3807],
  };

/** Dimensions, "has NULLs", element type, length, lower bound: five int32. */
const ARRAY_HEADER_BYTES = 20;
/** Bytes copied between two turns of the event loop: a millisecond's work. */
const TURN_BYTES = 262_144;
/** Below this size a loop is faster than a call of `copy`. */
const SHORT_BYTES = 24;

/** Types of a row's columns, in row order. @internal */
export function rowTypes(table: LedgerTable): ColumnType[] {
  return rowColumnsOf(table).map(({ type }) => type);
}

/**
 * The transposed batch: one binary array per column, in row order. A field of a COPY row, length
 * and bytes, already has the format of an array's element, so nothing is decoded. Gives the event
 * loop a turn every 256 KiB.
 *
 * @throws Error if the rows don't have these columns
 * @internal
 */
export async function columnArrays(
  batch: RowBatch,
  types: readonly (ColumnType | 'bytea')[],
): Promise<BinaryParameter[]> {
  const slices = batch.slices();
  const ends = types.map(() => ARRAY_HEADER_BYTES);
  const hasNulls = types.map(() => 0);
  await eachField(slices, types.length, (slice, column, at) => {
    const length = slice.readInt32BE(at);
    if (length < 0) hasNulls[column] = 1;
    ends[column]! += 4 + Math.max(length, 0);
  });
  const arrays = types.map((type, column) => {
    const array = Buffer.allocUnsafe(ends[column]!);
    [1, hasNulls[column]!, TYPE_OIDS[type][0], batch.count, 1].forEach((value, index) =>
      array.writeInt32BE(value, 4 * index),
    );
    return array;
  });
  ends.fill(ARRAY_HEADER_BYTES);
  await eachField(slices, types.length, (slice, column, at, end) => {
    ends[column] = copyField(slice, [at, end], arrays[column]!, ends[column]!);
  });
  return types.map((type, column) => ({ oid: TYPE_OIDS[type][1], value: arrays[column]! }));
}

/** @returns the offset after the copy */
function copyField(
  slice: Buffer,
  [start, end]: [start: number, end: number],
  target: Buffer,
  offset: number,
): number {
  if (end - start > SHORT_BYTES) return offset + slice.copy(target, offset, start, end);
  for (let at = start; at < end; at += 1) target[offset++] = slice[at]!;
  return offset;
}

type FieldVisitor = (slice: Buffer, column: number, at: number, end: number) => void;

async function eachField(
  slices: readonly Buffer[],
  columns: number,
  visit: FieldVisitor,
): Promise<void> {
  let turnBytes = 0;
  for (const slice of slices) {
    for (let at = 0; at < slice.length;) {
      const start = at;
      if (slice.readInt16BE(at) !== columns) throw new Error('a row of another definition');
      at += 2;
      for (let column = 0; column < columns; column += 1) {
        const end = at + 4 + Math.max(slice.readInt32BE(at), 0);
        visit(slice, column, at, end);
        at = end;
      }
      turnBytes += at - start;
      if (turnBytes >= TURN_BYTES) {
        turnBytes = 0;
        await new Promise((resolve) => realTimers.setImmediate(resolve));
      }
    }
  }
}
