import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CallMeter } from './call-meter.js';
import { endpoints } from './endpoints.js';
import { Lingering } from './lingering.js';

const request = { model: 'gpt-4o', messages: [] };
const USAGE = { prompt_tokens: 7, completion_tokens: 3 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A call that is read on, and how often it was ended. */
function linger(lingering: Lingering, caller = 'alice', said = '') {
  const meter = new CallMeter(endpoints.chat, request);
  meter.answered(200);
  meter.saw({ choices: [{ index: 0, delta: { content: said } }] });
  const end = vi.fn();
  lingering.add(caller, meter, end);
  return { meter, end };
}

describe('Lingering', () => {
  it('ends a call that has spoken in time, also while it goes on to speak', () => {
    const lingering = new Lingering(2_000);
    const { meter, end } = linger(lingering, 'alice', 'Hello');
    vi.advanceTimersByTime(1_999);
    lingering.read(meter, 10);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end).toHaveBeenCalledOnce();
  });

  it('gives a call that has said nothing thirty times as long to think', () => {
    const { end } = linger(new Lingering(2_000));
    vi.advanceTimersByTime(59_999);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end).toHaveBeenCalled();
  });

  it('gives a call that begins to speak the time of one that has spoken', () => {
    const lingering = new Lingering(2_000);
    const { meter, end } = linger(lingering);
    vi.advanceTimersByTime(30_000);
    lingering.read(meter, 10);
    vi.advanceTimersByTime(10_000);
    meter.saw({ choices: [{ index: 0, delta: { content: 'Hi' } }] });
    lingering.read(meter, 10);
    vi.advanceTimersByTime(1_999);
    lingering.read(meter, 10);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end).toHaveBeenCalledOnce();
  });

  it('ends a call by its bytes', () => {
    const lingering = new Lingering(2_000);
    const { meter, end } = linger(lingering);
    for (let n = 0; n < 16; n += 1) lingering.read(meter, 1024 * 1024);
    expect(end).not.toHaveBeenCalled();
    lingering.read(meter, 1);
    expect(end).toHaveBeenCalledOnce();
  });

  it('bounds the calls of one caller apart, and has room again once one is settled', async () => {
    const lingering = new Lingering(2_000);
    const calls = Array.from({ length: 65 }, () => linger(lingering));
    expect(calls.filter(({ end }) => end.mock.calls.length > 0)).toHaveLength(1);
    expect(linger(lingering, 'bob').end).not.toHaveBeenCalled();
    calls[0]!.meter.saw({ choices: [], usage: USAGE });
    await calls[0]!.meter.settle();
    await Promise.resolve();
    expect(linger(lingering).end).not.toHaveBeenCalled();
  });

  it('ends all soon when the process stops, and at once where there is no time', () => {
    const lingering = new Lingering(2_000);
    const [before, after] = [linger(lingering), (lingering.stop(), linger(lingering))];
    lingering.read(before.meter, 10);
    vi.advanceTimersByTime(2_000);
    expect(before.end).toHaveBeenCalled();
    expect(after.end).toHaveBeenCalled();
    expect(linger(new Lingering(0)).end).toHaveBeenCalledOnce();
  });
});
