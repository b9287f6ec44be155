import { describe, expect, it } from 'vitest';
import { classifyPgError, toSinkError } from './classify-pg-error.js';
import { readPgError } from './read-pg-error.js';

/** An ErrorResponse like that of `pg`; texts that may come from users say `secret`. */
function answer(code: string, fields: Record<string, unknown> = {}): Error {
  return Object.assign(new Error('secret'), { severity: 'ERROR', code, detail: 'secret' }, fields);
}

const at = (where: string): Record<string, unknown> => ({ where });
const NAMED = at('COPY usage_entries, line 7');

function verdict(code: string, fields: Record<string, unknown> = {}): string {
  return classifyPgError(readPgError(answer(code, fields), 'usage_entries'));
}

describe('classifyPgError', () => {
  it.each([
    [
      'transient',
      ['08006', '08P01', '25006', '40001', '40P01', '53300', '55P03', '57014', '57P01'],
    ],
    ['transient', ['58030', 'XX000', 'F0000', '99999', 'U0001']],
    ['row', ['22001', '23502', '23503', '23514', '44000', '54000', 'P0001']],
    ['exists', ['23505']],
    ['halt', ['22P03', '22P04', '28P01', '28000', '3D000', '3F000', '42P01', '42501', '42703']],
    ['no-copy', ['0A000']],
    ['unknown', ['08007', '40003']],
  ])('without a named row says %s', (expected, codes) => {
    for (const code of codes) expect([code, verdict(code)]).toEqual([code, expected]);
  });

  it.each([
    ['row', ['P0001', '42P01', '42501', '0A000', '21000', '54000', 'U0001', '23514']],
    ['exists', ['23505']],
    ['halt', ['22P03', '22P04', '08P01']],
    // COPY's line is then in every context: a lock or a stopping server is no row's fault.
    ['transient', ['40001', '40P01', '57014', '57P01', '55P03', '53100', '53200', '58030']],
    ['transient', ['25006', 'XX000', '08006']],
  ])('with a named row says %s', (expected, codes) => {
    for (const code of codes) expect([code, verdict(code, NAMED)]).toEqual([code, expected]);
  });

  it('treats any failure without an answer of the server as transient', () => {
    for (const error of [
      Object.assign(new Error(), { code: 'ECONNRESET' }),
      Object.assign(new Error(), { code: '23514' }),
      new Error('Connection terminated unexpectedly'),
      'a string',
      undefined,
    ]) {
      expect(classifyPgError(readPgError(error, 'usage_entries'))).toBe('transient');
    }
  });

  it('reports the outcome of the batch', () => {
    const failure = readPgError(answer('57P01'));
    expect(toSinkError(failure, 'transient', true)).toMatchObject({ outcomeKnown: true });
    expect(toSinkError(failure, 'transient', false)).toMatchObject({ outcomeKnown: false });
    expect(toSinkError(failure, 'unknown', true)).toMatchObject({ outcomeKnown: false });
  });
});

describe('readPgError', () => {
  const placeOf = (where: string): (number | string | undefined)[] => {
    const { rowNumber, column } = readPgError(answer('22001', at(where)), 'usage_entries');
    return [rowNumber, column];
  };

  it('finds row and column in the last line of the context', () => {
    expect(placeOf('COPY usage_entries, line 1235')).toEqual([1235, undefined]);
    expect(placeOf('COPY usage_entries, line 3, column memo')).toEqual([3, 'memo']);
    const trigger = 'PL/pgSQL function f() line 4 at RAISE\nCOPY usage_entries, line 12';
    expect(placeOf(trigger)).toEqual([12, undefined]);
  });

  it('finds them in any language of the server', () => {
    expect(placeOf('COPY usage_entries, Zeile 3, Spalte memo')).toEqual([3, 'memo']);
    expect(placeOf('COPY usage_entries, ligne 3')).toEqual([3, undefined]);
    expect(placeOf('COPY usage_entries, строка 3, столбец memo')).toEqual([3, 'memo']);
    expect(placeOf('usage_entriesのCOPY、行 3、列 memo')).toEqual([3, 'memo']);
    expect(placeOf('usage_entriesのCOPY、行 3')).toEqual([3, undefined]);
    expect(placeOf('usage_entries 복사, 3번째 줄, memo 열')).toEqual([3, 'memo']);
    expect(placeOf('usage_entries 복사, 3번째 줄')).toEqual([3, undefined]);
    expect(verdict('U0001', at('usage_entriesのCOPY、行 3'))).toBe('row');
  });

  it('is not misled by users’ text, or by a foreign COPY', () => {
    expect(placeOf('COPY usage_entries, line 1\nSQL function "f"')).toEqual([undefined, undefined]);
    expect(placeOf('COPY usage_entries, line 1\nCOPY usage_entries, line 9')[0]).toBe(9);
    expect(placeOf('COPY other, line 1')).toEqual([undefined, undefined]);
    expect(placeOf('COPY usage_entries_old, line 1')).toEqual([undefined, undefined]);
    expect(placeOf('SQL statement "COPY usage_entries, line 1"')).toEqual([undefined, undefined]);
  });

  it('retries a row refused by a partition whose rows are being moved, but no row at fault', () => {
    const elsewhere = { ...NAMED, table: 'usage_entries_default' };
    expect(verdict('23514', elsewhere)).toBe('transient');
    expect(verdict('23514', { ...elsewhere, constraint: 'nice' })).toBe('row');
    // No partition takes it.
    expect(verdict('23514', { ...NAMED, table: 'usage_entries' })).toBe('row');
  });

  it('keeps codes and names, and no text of the server or the query', () => {
    const raw = answer('23514', {
      ...NAMED,
      constraint: 'nice',
      table: 'usage_entries',
      hint: 'secret',
      internalQuery: 'secret',
    });
    const typeorm = Object.assign(new Error('secret'), {
      query: 'secret',
      parameters: ['secret'],
      driverError: raw,
    });
    const failure = readPgError(typeorm, 'usage_entries');
    expect(failure).toMatchObject({ code: '23514', constraint: 'nice', rowNumber: 7 });
    expect(failure.text).toBe('check_violation (23514), constraint nice, table usage_entries');
    const told = toSinkError(failure, 'row', true);
    const all = [failure, failure.cause, told, told.cause].flatMap((each) =>
      Object.getOwnPropertyNames(each).map((name) => String((each as never)[name])),
    );
    expect(all.join('\n')).not.toContain('secret');
    expect(told.cause).not.toHaveProperty('cause');
  });

  it("hides addresses in the client's own messages", () => {
    const failure = readPgError(new Error('bad url postgres://me:secret@host/db'));
    expect(failure.text).toBe('bad url (address)');
  });
});
