import { crc32 } from 'node:zlib';
import { RowCodec } from '../codec/row-codec.js';
import type { OutgoingMessage, StreamHeaders } from '../ports/ledger-stream.interface.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import { rowEndsOf } from '../segments/row-frame.js';
import type { SegmentColumn } from '../segments/segment-description.js';
import { fingerprintOf, formatColumns, parseColumns, type RowLayout } from './row-layout.js';

/** Version of headers and payload; a message of another one is not read. */
const FORMAT = '1';

/** Names of the headers. Lower case, so that no engine's spelling makes another name of them. */
const HEADER = {
  format: 'ledger-format',
  rows: 'ledger-rows',
  checksum: 'ledger-checksum',
  fingerprint: 'ledger-fingerprint',
  columns: 'ledger-columns',
} as const;

/** Rows `from` to `to` - 1 of a batch, which make one message. @internal */
export interface RowSpan {
  readonly from: number;
  readonly to: number;
}

/**
 * Parts of a batch that are at most so large, each as large as it can be. A row that is larger alone is a
 * part of its own. The same batch is always cut in the same way, so that its messages keep their ids.
 *
 * @internal
 */
export function cutBatch(batch: RowBatch, maxBytes: number): RowSpan[] {
  if (batch.bytes <= maxBytes) return [{ from: 0, to: batch.count }];
  const spans: RowSpan[] = [];
  let from = 0;
  let bytes = 0;
  for (let row = 0; row < batch.count; row++) {
    const { length } = batch.row(row);
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
 * Rows of a batch as a message: their bytes as they are, without a copy. Its id is made of the first uuid,
 * the number of rows and their checksum, so that it never stands for other rows.
 *
 * @internal
 */
export function encodeMessage(
  batch: RowBatch,
  { from, to }: RowSpan,
  layout: RowLayout,
): OutgoingMessage {
  const isWhole = from === 0 && to === batch.count;
  const payload = isWhole ? batch.slices() : rowViews(batch, from, to);
  const rows = to - from;
  const checksum = payload
    .reduce((sum, slice) => crc32(slice, sum), 0)
    .toString(16)
    .padStart(8, '0');
  return {
    id: `${RowCodec.uuidOf(batch.row(from))}-${rows}-${checksum}`,
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

function rowViews(batch: RowBatch, from: number, to: number): Buffer[] {
  return Array.from({ length: to - from }, (_, index) => batch.row(from + index));
}

/** A message that was read: whole rows, as its headers say. @internal */
export interface ReadableRows {
  readonly columns: readonly SegmentColumn[];
  readonly bytes: Buffer;
  /** Where each row ends in `bytes`. */
  readonly ends: Uint32Array;
}

/** Why a message can't be read, in words without its values. @internal */
export interface UnreadableRows {
  readonly fault: string;
}

/** The columns that a message's rows have, by its headers; undefined if they don't say. */
function columnsOf(headers: StreamHeaders): readonly SegmentColumn[] | undefined {
  const columns = parseColumns(headers[HEADER.columns]);
  const isSure = columns !== undefined && fingerprintOf(columns) === headers[HEADER.fingerprint];
  return isSure ? columns : undefined;
}

/**
 * Whether a writer is to take a message: one of a newer format, or with a column that its table does not have,
 * waits for a newer writer. Headers that nobody can have written are taken, and become a dead letter.
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

/** Reads a message, whatever its bytes. Never throws. @internal */
export function decodeMessage(
  headers: StreamHeaders,
  payload: Buffer,
): ReadableRows | UnreadableRows {
  if (headers[HEADER.format] !== FORMAT) return { fault: 'its format is not known' };
  const columns = columnsOf(headers);
  if (columns === undefined) return { fault: 'its columns are not those of its fingerprint' };
  const rows = Number(headers[HEADER.rows]);
  if (!Number.isSafeInteger(rows) || rows < 1)
    return { fault: 'it does not say how many rows it has' };
  if (crc32(payload) !== Number.parseInt(headers[HEADER.checksum] ?? '', 16)) {
    return { fault: 'its bytes are not those that were published' };
  }
  const ends = rowEndsOf(payload, rows, columns.length);
  return ends === undefined
    ? { fault: 'it holds no whole rows' }
    : { columns, bytes: payload, ends };
}
