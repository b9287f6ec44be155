import type { Clock, Timer } from '../clock/clock.js';

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that a test advances. Timers and turns of the event loop run only on request, in the
 * order in which they are due, and promises settle between them.
 *
 * @publicApi
 */
export class ManualClock implements Clock {
  #now: number;
  #elapsed = 0;
  #order = 0;
  readonly #alarms = new Set<Alarm>();
  #turns: (() => void)[] = [];
  #holds = 0;

  /** @param now milliseconds since 1970; default 2026-01-01 */
  constructor(now: number = Date.UTC(2026, 0, 1)) {
    this.#now = now;
    this.now = this.now.bind(this);
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, callback: () => void): Timer {
    const alarm = { at: this.#elapsed + ms, order: this.#order++, callback };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  nextTurn(callback: () => void): void {
    this.#turns.push(callback);
  }

  hold(): Timer {
    this.#holds++;
    let isHeld = true;
    const cancel = (): void => {
      if (isHeld) this.#holds--;
      isHeld = false;
    };
    return { cancel };
  }

  /** Number of pending timers; 0 once everything has ended. */
  get pendingTimers(): number {
    return this.#alarms.size;
  }

  /** Number of references that keep the process alive. */
  get pendingHolds(): number {
    return this.#holds;
  }

  /** Sets the wall clock, like an administrator; timers are not affected. */
  setNow(now: number): void {
    this.#now = now;
  }

  /** Runs turns of the event loop, and lets promises settle, until none is left. */
  async turn(): Promise<void> {
    do {
      const turns = this.#turns;
      this.#turns = [];
      for (const callback of turns) callback();
      await settlePromises();
    } while (this.#turns.length > 0);
  }

  /** Advances the time, and runs due timers in order. */
  async advance(ms: number): Promise<void> {
    const until = this.#elapsed + ms;
    await this.turn();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#alarms.delete(next);
      this.#move(next.at);
      next.callback();
      await this.turn();
    }
    this.#move(until);
  }

  #move(elapsed: number): void {
    this.#now += elapsed - this.#elapsed;
    this.#elapsed = elapsed;
  }

  #next(until: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at > until) continue;
      const isEarlier =
        next === undefined ||
        alarm.at < next.at ||
        (alarm.at === next.at && alarm.order < next.order);
      if (isEarlier) next = alarm;
    }
    return next;
  }
}

/** A few turns of the real event loop, enough for any chain of promises here. */
async function settlePromises(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
