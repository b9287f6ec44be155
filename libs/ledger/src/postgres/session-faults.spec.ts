import { describe, expect, it } from 'vitest';
import { hadEnded, isUsableAfter } from './session-faults.js';

const answer = (code: string, severity: string): Error =>
  Object.assign(new Error('answer'), { code, severity });

describe('the session of a failed statement', () => {
  it.each([
    // PgBouncer and Supavisor, which lost the server; a server in another language ends a session.
    ['08P01', 'FATAL'],
    ['08P01', 'ERROR'],
    ['XX000', 'FATAL'],
    ['57P01', 'FATAL'],
    ['57P01', 'SCHWERWIEGEND'],
    ['57P02', 'PANIC'],
  ])('is over after %s (%s), so that a read takes another one', (code, severity) => {
    const error = answer(code, severity);
    expect(isUsableAfter(error)).toBe(false);
    expect([hadEnded(error, true), hadEnded(error, false)]).toEqual([true, false]);
  });

  it.each([
    ['XX000', 'ERROR'],
    ['57014', 'ERROR'],
    ['42501', 'FEHLER'],
  ])('goes on after %s (%s)', (code, severity) => {
    expect(isUsableAfter(answer(code, severity))).toBe(true);
    expect(hadEnded(answer(code, severity), true)).toBe(false);
  });

  it('is over after the loss of the connection', () => {
    const error = Object.assign(new Error('lost'), { code: 'ECONNRESET' });
    expect(isUsableAfter(error)).toBe(false);
    expect([hadEnded(error, true), hadEnded(error, false)]).toEqual([true, false]);
  });
});
