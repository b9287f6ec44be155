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
  it('ends a call that has spoken after a silence, and not while something comes', () => {
    const lingering = new Lingering(2_000);
    const { meter, end } = linger(lingering, 'alice', 'Hello');
    for (let n = 0; n < 5; n += 1) {
      vi.advanceTimersByTime(1_900);
      lingering.read(meter, 10);
    }
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2_000);
    expect(end).toHaveBeenCalled();
  });

  it('gives a call that has said nothing thirty times as long to think', () => {
    const { end } = linger(new Lingering(2_000));
    vi.advanceTimersByTime(59_999);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end).toHaveBeenCalled();
  });

  it('ends a call that never falls silent, by time and by bytes', () => {
    const lingering = new Lingering(2_000);
    const [slow, fast] = [linger(lingering, 'alice', 'Hi'), linger(lingering, 'alice', 'Hi')];
    for (let n = 0; n < 17; n += 1) lingering.read(fast.meter, 1024 * 1024);
    expect(fast.end).toHaveBeenCalled();
    for (let n = 0; n < 60; n += 1) {
      expect(slow.end).not.toHaveBeenCalled();
      lingering.read(slow.meter, 10);
      vi.advanceTimersByTime(1_000);
    }
    expect(slow.end).toHaveBeenCalled();
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
