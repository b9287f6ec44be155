import { inexactRule } from '../codec/text-column.js';
import { MAX_TEXT_BYTES, type LedgerTable } from '../entry/ledger-definition.js';
import { LedgerReadError } from '../errors/ledger-read.error.js';
import { checkFields } from './parse-read-query.js';

/** How an entry is reversed, checked. */
export interface CheckedReversal {
  readonly reason: string;
  readonly keep: readonly string[];
  readonly bookedAt: 'original' | 'now';
}

/**
 * Checks the options of `reverse()`. A long memo would be cut; a reason is for an auditor, so a
 * long one is refused.
 *
 * @throws LedgerReadError `invalid`, naming the option
 */
export function parseReverseOptions(table: LedgerTable, options: unknown): CheckedReversal {
  const {
    reason,
    keep = [],
    bookedAt = 'original',
  } = checkFields(options, ['reason', 'keep', 'bookedAt']);
  if (bookedAt !== 'original' && bookedAt !== 'now') {
    throw new LedgerReadError('invalid', 'bookedAt', "must be 'original' or 'now'");
  }
  const declared = Object.keys(table.columns);
  const isDeclared = (name: unknown): boolean => declared.includes(name as string);
  if (!Array.isArray(keep) || !keep.every(isDeclared)) {
    const names = declared.length > 0 ? declared.join(', ') : 'declared columns (there are none)';
    throw new LedgerReadError('invalid', 'keep', `must be names of ${names}`);
  }
  return { reason: checkReason(reason), keep: [...(keep as string[])], bookedAt };
}

function checkReason(reason: unknown): string {
  const size = `must be a text of 1 to ${MAX_TEXT_BYTES} bytes`;
  if (typeof reason !== 'string' || reason === '' || reason.length > MAX_TEXT_BYTES) {
    throw new LedgerReadError('invalid', 'reason', size);
  }
  const rule = Buffer.byteLength(reason) > MAX_TEXT_BYTES ? size : inexactRule(reason);
  if (rule !== undefined) throw new LedgerReadError('invalid', 'reason', rule);
  return reason;
}
