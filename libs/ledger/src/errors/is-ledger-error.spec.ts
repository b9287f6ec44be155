import { createContext, runInContext } from 'node:vm';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { isLedgerError } from './is-ledger-error.js';
import { LedgerSealedError } from './wait.errors.js';

describe('isLedgerError', () => {
  it('holds for another copy of the package in another realm, whose Error is another', () => {
    const realm = createContext({ error: undefined });
    runInContext(
      `error = Object.assign(new Error('sealed'), { code: 'LEDGER_SEALED' });
       Object.defineProperty(error, Symbol.for('nestjs-ledger/error'), { value: true });`,
      realm,
    );
    const { error } = realm as { error: unknown };
    expect(error).not.toBeInstanceOf(Error);
    expect(isLedgerError(error, 'LEDGER_SEALED')).toBe(true);
    expect(isLedgerError(error, 'LEDGER_WAIT_TIMEOUT')).toBe(false);
  });

  it('refuses everything else', () => {
    for (const other of [undefined, null, 'LEDGER_SEALED', 1, {}, new Error('LEDGER_SEALED')]) {
      expect(isLedgerError(other)).toBe(false);
      expect(isLedgerError(other, 'LEDGER_SEALED')).toBe(false);
    }
    expect(isLedgerError(new LedgerSealedError())).toBe(true);
  });

  it("narrows the type to the fields of a code's error", () => {
    const error: unknown = new LedgerSealedError('uuid');
    if (!isLedgerError(error, 'LEDGER_SEALED')) throw new Error('another error');
    expectTypeOf(error).toEqualTypeOf<LedgerSealedError>();
    expect(error.uuid).toBe('uuid');
  });
});
