import { crc32 } from 'node:zlib';
import { Batch } from '../channel/batch.js';
import type { OutgoingMessage, StreamHeaders } from '../ports/ledger-stream.interface.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import { rowEndsOf } from '../segments/row-frame.js';
import type { SegmentColumn } from '../segments/segment-description.js';
import { fingerprintOf, formatColumns, parseColumns, type RowLayout } from './row-layout.js';

/** Version of headers and payload; messages of other versions are not read. */
const FORMAT = '1';

/** Names of the headers. Lower case, so that no engine changes their spelling. */
const HEADER = {
  format: 'ledger-format',
  rows: 'ledger-rows',
  checksum: 'ledger-checksum',
  fingerprint: 'ledger-fingerprint',
  columns: 'ledger-columns',
} as const;

/** Rows `from` to `to` - 1 of a batch, for one message. @internal */
export interface RowSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * Divides a batch into parts of at most `maxBytes`, each as large as possible. A larger row forms
 * its own part. The same batch is always divided in the same way, so that its messages keep their
 * ids.
 *
 * @internal
 */
export function cutBatch(batch: RowBatch, maxBytes: number): RowSpan[] {
  if (batch.bytes <= maxBytes) return [{ from: 0, to: batch.count }];
  const spans: RowSpan[] = [];
  let from = 0;
  let bytes = 0;
  for (const [row, length] of lengthsOf(batch).entries()) {
    if (row > from && bytes + length > maxBytes) {
      spans.push({ from, to: row });
      from = row;
      bytes = 0;
    }
    bytes += length;
  }
  spans.push({ from, to: batch.count });
  return spans;
}

/**
 * Rows of a batch as a message: their unchanged bytes, without a copy.
 *
 * @internal
 */
export function encodeMessage(
  batch: RowBatch,
  { from, to }: RowSpan,
  layout: RowLayout,
): OutgoingMessage {
  const payload = viewsOf(batch, { from, to });
  const rows = to - from;
  const checksum = payload
    .reduce((sum, slice) => crc32(slice, sum), 0)
    .toString(16)
    .padStart(8, '0');
  return {
    fingerprint: layout.fingerprint,
    headers: {
      [HEADER.format]: FORMAT,
      [HEADER.rows]: String(rows),
      [HEADER.checksum]: checksum,
      [HEADER.fingerprint]: layout.fingerprint,
      [HEADER.columns]: formatColumns(layout.columns),
    },
    payload,
    bytes: payload.reduce((sum, { length }) => sum + length, 0),
  };
}

/**
 * Bytes of each row. For a worker's batch without a view of each row, which would cost more than
 * encoding the row.
 */
function lengthsOf(batch: RowBatch): Uint32Array {
  const lengths = new Uint32Array(batch.count);
  if (!(batch instanceof Batch)) return lengths.map((_, row) => batch.row(row).length);
  let index = 0;
  for (const { slab, from, to } of (batch as Batch).ranges) {
    for (let row = from; row < to; row++) lengths[index++] = slab.endOf(row) - slab.startOf(row);
  }
  return lengths;
}

/**
 * Rows of a batch in as few views as possible, because checksum and copy cost time for each view.
 */
function viewsOf(batch: RowBatch, { from, to }: RowSpan): Buffer[] {
  if (from === 0 && to === batch.count) return batch.slices();
  if (batch instanceof Batch) return (batch as Batch).part(from, to)!.slices();
  return Array.from({ length: to - from }, (_, index) => batch.row(from + index));
}

/** A message that was read: whole rows, according to its headers. @internal */
export interface ReadableRows {
  readonly columns: readonly SegmentColumn[];
  readonly bytes: Buffer;
  /** End of each row in `bytes`. */
  readonly ends: Uint32Array;
}

/** The reason why a message can't be read, without its values. @internal */
export interface UnreadableRows {
  readonly fault: string;
}

/** The columns of a message's rows, from its headers; undefined if these are inconsistent. */
function columnsOf(headers: StreamHeaders): readonly SegmentColumn[] | undefined {
  const columns = parseColumns(headers[HEADER.columns]);
  const isSure = columns !== undefined && fingerprintOf(columns) === headers[HEADER.fingerprint];
  return isSure ? columns : undefined;
}

/**
 * Whether a writer should take a message. One of a newer format, or with a column that its table
 * lacks, waits for a newer writer. Invalid headers are taken, and the message becomes a dead
 * letter.
 *
 * @param own columns of the writer's table
 * @internal
 */
export function isForReader(headers: StreamHeaders, own: readonly SegmentColumn[]): boolean {
  const format = headers[HEADER.format];
  if (format !== undefined && format !== FORMAT) return false;
  return (
    columnsOf(headers)?.every(({ column, type }) => {
      return own.some((each) => each.column === column && each.type === type);
    }) ?? true
  );
}

/** Reads a message with any bytes. Never throws. @internal */
export function decodeMessage(
  headers: StreamHeaders,
  payload: Buffer,
): ReadableRows | UnreadableRows {
  if (headers[HEADER.format] !== FORMAT) return { fault: 'unknown format' };
  const columns = columnsOf(headers);
  if (columns === undefined) return { fault: 'the columns do not match the fingerprint' };
  const rows = Number(headers[HEADER.rows]);
  if (!Number.isSafeInteger(rows) || rows < 1)
    return { fault: 'the number of rows is missing or invalid' };
  if (crc32(payload) !== Number.parseInt(headers[HEADER.checksum] ?? '', 16)) {
    return { fault: 'wrong checksum' };
  }
  const ends = rowEndsOf(payload, rows, columns.length);
  return ends === undefined ? { fault: 'incomplete rows' } : { columns, bytes: payload, ends };
}
