import { describe, expect, it } from 'vitest';
import { BytesInFlight } from './bytes-in-flight.js';

describe('BytesInFlight', () => {
  it('holds half of its bytes for one caller, and all of them for several', () => {
    const bytes = new BytesInFlight(100);
    const [first, second] = [bytes.open('alice'), bytes.open('alice')];
    expect([first.add(30), second.add(30), second.add(20)]).toEqual([true, false, true]);
    expect(bytes.open('bob').add(51)).toBe(false);
    expect(bytes.open('bob').add(50)).toBe(true);
    expect(bytes.open('carol').add(1)).toBe(false);
    expect(bytes.bytes).toBe(100);
  });

  it('has room again once a call is over, however often it says so', () => {
    const bytes = new BytesInFlight(100);
    const held = bytes.open('alice');
    held.add(20);
    held.add(30);
    held.release();
    held.release();
    expect(bytes.bytes).toBe(0);
    expect(bytes.open('alice').add(50)).toBe(true);
  });

  it('does not count what a call adds when it is over', () => {
    const bytes = new BytesInFlight(100);
    const held = bytes.open('alice');
    held.release();
    expect(held.add(1_000)).toBe(true);
    expect(bytes.bytes).toBe(0);
  });
});
