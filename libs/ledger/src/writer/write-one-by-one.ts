import { isLedgerError } from '../errors/is-ledger-error.js';
import type {
  EachRowResult,
  LedgerSink,
  RefusedRow,
  RowBatch,
  WriteAttempt,
} from '../ports/ledger-sink.interface.js';

/**
 * `writeEach` for a sink without it: one attempt for each row. Refused rows get a second attempt if
 * another row was written.
 *
 * @throws any error of `write` that concerns no single row; rows before it may be written then
 *
 * @internal
 */
export async function writeOneByOne(
  sink: LedgerSink,
  batch: RowBatch & { part(from: number, to: number): RowBatch | undefined },
  attempt: WriteAttempt,
): Promise<EachRowResult> {
  const duplicates: number[] = [];
  const conflicts: number[] = [];
  let refused: RefusedRow[] = [];
  let written = 0;
  let notStored = 0;
  const tryRow = async (index: number, isSecond: boolean): Promise<void> => {
    try {
      const result = await sink.write(batch.part(index, index + 1)!, attempt);
      written += result.written;
      notStored += result.notStored ?? 0;
      if (result.duplicates.length > 0) duplicates.push(index);
      if (result.conflicts.length > 0) conflicts.push(index);
    } catch (error) {
      if (!isLedgerError(error, 'SINK_ROW')) throw error;
      refused.push({ index, error, isCertain: isSecond });
    }
  };
  for (let index = 0; index < batch.count; index++) await tryRow(index, false);
  const suspects = refused;
  if (written > 0 && suspects.length > 0) {
    refused = [];
    for (const { index } of suspects) await tryRow(index, true);
  }
  return { written, duplicates, conflicts, refused, untried: [], notStored };
}
