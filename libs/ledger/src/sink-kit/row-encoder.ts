import { createRowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import { newRun } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { UsageEntry } from '../entry/usage-entry.interface.js';
import { LedgerEntryInvalidError } from '../errors/ledger-entry-invalid.error.js';

/** Encodes an entry as a sink's row. @publicApi */
export type RowEncoder<T extends LedgerTable = LedgerTable> = (entry: UsageEntry<T>) => Buffer;

/**
 * Creates an encoder of rows for tests of a sink, equal to those of `record()`:
 * `createRowEncoder(usage)({ userId: 1 })`. Combine rows into a batch with `rowBatch`.
 *
 * @returns a function that throws `LedgerEntryInvalidError` for entries that `record()` would
 * refuse
 * @publicApi
 */
export function createRowEncoder<T extends LedgerTable>(definition: T): RowEncoder<T> {
  const codec = new RowCodec(definition);
  const next = { run: newRun(), sequence: 0 };
  return (entry) => {
    const fault = codec.parser.parse(entry, Date.now());
    if (fault !== undefined) throw new LedgerEntryInvalidError(fault.field, fault.rule);
    const target = createRowTarget(codec.maxRowBytes);
    const end = codec.encode(target, 0, next);
    if (codec.parser.needsSequence) next.sequence++;
    return target.bytes.subarray(0, end);
  };
}
