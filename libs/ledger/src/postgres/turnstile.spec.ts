import { describe, expect, it } from 'vitest';
import { Deadline, DeadlineError } from '../clock/deadline.js';
import { Turnstile, TurnstileFullError } from './turnstile.js';

const soon = (): Deadline => new Deadline(5_000);

describe('Turnstile', () => {
  it('admits as many callers as its size, and the others in order of arrival', async () => {
    const turnstile = new Turnstile(2);
    const order: number[] = [];
    const leaves = await Promise.all([0, 1].map(() => turnstile.enter({ deadline: soon() })));
    const waiting = [2, 3, 4].map(async (n) => {
      const leave = await turnstile.enter({ deadline: soon() });
      order.push(n);
      leave();
    });
    expect(turnstile.waiting).toBe(3);
    leaves[0]!();
    await Promise.all(waiting);
    expect(order).toEqual([2, 3, 4]);
  });

  it('admits urgent callers first, even before earlier ones', async () => {
    const turnstile = new Turnstile(1);
    const leave = await turnstile.enter({ deadline: soon() });
    const order: string[] = [];
    const enter = async (name: string, isUrgent: boolean): Promise<void> => {
      const next = await turnstile.enter({ deadline: soon(), isUrgent });
      order.push(name);
      next();
    };
    const all = [enter('read', false), enter('upkeep', true), enter('upkeep', true)];
    leave();
    await Promise.all(all);
    expect(order).toEqual(['upkeep', 'upkeep', 'read']);
  });

  it('refuses callers above the waiting limit at once, and accepts others once some have left', async () => {
    const turnstile = new Turnstile(1);
    const leave = await turnstile.enter({ deadline: soon(), maxWaiting: 1 });
    const second = turnstile.enter({ deadline: soon(), maxWaiting: 1 });
    await expect(turnstile.enter({ deadline: soon(), maxWaiting: 1 })).rejects.toBeInstanceOf(
      TurnstileFullError,
    );
    leave();
    const third = turnstile.enter({ deadline: soon(), maxWaiting: 1 });
    (await second)();
    (await third)();
  });

  it('lets no caller wait with a limit of 0, and still admits the first ones', async () => {
    const turnstile = new Turnstile(1);
    const leave = await turnstile.enter({ deadline: soon(), maxWaiting: 0 });
    await expect(turnstile.enter({ deadline: soon(), maxWaiting: 0 })).rejects.toThrow();
    leave();
    (await turnstile.enter({ deadline: soon(), maxWaiting: 0 }))();
  });

  it('loses no place to callers that time out or leave twice', async () => {
    const turnstile = new Turnstile(1);
    const leave = await turnstile.enter({ deadline: soon() });
    const late = Array.from({ length: 20 }, () => turnstile.enter({ deadline: new Deadline(1) }));
    const ends = await Promise.allSettled(late);
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
    expect((ends[0] as PromiseRejectedResult).reason).toBeInstanceOf(DeadlineError);
    expect(turnstile.waiting).toBe(0);
    leave();
    leave();
    const next = await turnstile.enter({ deadline: soon(), maxWaiting: 0 });
    await expect(turnstile.enter({ deadline: soon(), maxWaiting: 0 })).rejects.toThrow();
    next();
  });

  it('admits waiting callers when it grows, and waits for those inside when it shrinks', async () => {
    const turnstile = new Turnstile(1);
    const first = await turnstile.enter({ deadline: soon() });
    const waiting = turnstile.enter({ deadline: soon() });
    turnstile.resize(2);
    const second = await waiting;
    turnstile.resize(1);
    first();
    await expect(turnstile.enter({ deadline: soon(), maxWaiting: 0 })).rejects.toThrow();
    second();
    (await turnstile.enter({ deadline: soon(), maxWaiting: 0 }))();
  });
});
