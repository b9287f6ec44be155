import { createContext, runInContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { isLedgerError } from './ledger.error.js';
import { isLedgerSealedError, isLedgerWaitTimeoutError, LedgerSealedError } from './wait.errors.js';

describe('guards of errors', () => {
  it('hold for another copy of the package in another realm, whose Error is another', () => {
    const realm = createContext({ error: undefined });
    runInContext(
      `error = Object.assign(new Error('sealed'), { code: 'LEDGER_SEALED' });
       Object.defineProperty(error, Symbol.for('nestjs-ledger/error'), { value: true });`,
      realm,
    );
    const { error } = realm as { error: unknown };
    expect(error).not.toBeInstanceOf(Error);
    expect(isLedgerSealedError(error)).toBe(true);
    expect(isLedgerWaitTimeoutError(error)).toBe(false);
  });

  it('refuse everything else', () => {
    for (const other of [undefined, null, 'LEDGER_SEALED', 1, {}, new Error('LEDGER_SEALED')]) {
      expect(isLedgerError(other)).toBe(false);
      expect(isLedgerSealedError(other)).toBe(false);
    }
    expect(isLedgerError(new LedgerSealedError())).toBe(true);
  });
});
