import type { LedgerTable } from '../entry/ledger-definition.js';
import { fitRows, type GivenFields } from '../journal/fit-row.js';
import type { StreamMessage } from '../ports/ledger-stream.interface.js';
import { MessageBlock } from './message-block.js';
import { decodeMessage, type ReadableRows, type UnreadableRows } from './message-format.js';

/**
 * The rows of a message as rows of a table: views on the payload, or separate memory if the message
 * has other columns. Never throws.
 *
 * @param now monotonic milliseconds
 * @param given values for columns that the message lacks; columns without a value are NULL
 * @internal
 */
export function readMessage(
  message: StreamMessage,
  table: LedgerTable,
  now: number,
  given?: GivenFields,
): MessageBlock | UnreadableRows {
  const rows = decodeMessage(message.headers, message.payload);
  if ('fault' in rows) return rows;
  const fitted = fit(rows, table, given);
  return 'fault' in fitted ? fitted : new MessageBlock(message, fitted.bytes, fitted.ends, now);
}

function fit(
  { columns, bytes, ends }: ReadableRows,
  table: LedgerTable,
  given?: GivenFields,
): { readonly bytes: Buffer; readonly ends: ArrayLike<number> } | UnreadableRows {
  const fitRow = fitRows(columns, table, given);
  if (fitRow === undefined) return { bytes, ends };
  const rows: Buffer[] = [];
  const fittedEnds: number[] = [];
  let end = 0;
  for (let row = 0; row < ends.length; row++) {
    const fitted = fitRow(bytes.subarray(row === 0 ? 0 : ends[row - 1]!, ends[row]));
    if (fitted === undefined) return { fault: 'it has values that the table has no column for' };
    end += fitted.length;
    rows.push(fitted);
    fittedEnds.push(end);
  }
  return { bytes: Buffer.concat(rows, end), ends: fittedEnds };
}
