import type { Deadline } from '../clock/deadline.js';

/** Lets the next one in. May be called more than once. @internal */
export type Leave = () => void;

/** How somebody waits. @internal */
export interface TurnstileWait {
  readonly deadline: Deadline;
  /** Goes before all that are not urgent. Default: false. */
  readonly isUrgent?: boolean;
  /** Callers that may wait at once, this one included. Default: no limit. */
  readonly maxWaiting?: number;
}

/** As many wait already as may. @internal */
export class TurnstileFullError extends Error {
  constructor(readonly waiting: number) {
    super(`${waiting} wait already`);
    this.name = 'TurnstileFullError';
  }
}

/** Called when it is the waiter's turn. */
type Waiter = () => void;

/**
 * Lets a limited number of callers in at once; the others wait in line, first come, first served.
 *
 * @internal
 */
export class Turnstile {
  #size: number;
  #inside = 0;
  readonly #urgent = new Set<Waiter>();
  readonly #waiting = new Set<Waiter>();

  /** @param size callers inside at once, at least 1 */
  constructor(size: number) {
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** Callers that wait and are not urgent. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Those inside stay inside; a larger size lets the next ones in at once. */
  resize(size: number): void {
    this.#size = size;
    this.#letIn();
  }

  /**
   * Waits for a turn. The caller must leave, whatever happens.
   *
   * @throws TurnstileFullError if as many wait as may, DeadlineError if the turn did not come in time
   */
  async enter({ deadline, isUrgent = false, maxWaiting }: TurnstileWait): Promise<Leave> {
    const line = isUrgent ? this.#urgent : this.#waiting;
    const isFree = this.#inside < this.#size && this.#urgent.size === 0;
    if (isFree && (isUrgent || this.#waiting.size === 0)) return this.#goIn();
    if (maxWaiting !== undefined && line.size >= maxWaiting) {
      throw new TurnstileFullError(line.size);
    }
    let waiter!: Waiter;
    const turn = new Promise<Leave>((resolve) => {
      waiter = () => resolve(this.#goIn());
    });
    line.add(waiter);
    try {
      return await deadline.race(turn);
    } catch (error) {
      line.delete(waiter);
      // The turn may have come in the same moment as the deadline.
      void turn.then((leave) => leave());
      throw error;
    }
  }

  #goIn(): Leave {
    this.#inside += 1;
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      this.#inside -= 1;
      this.#letIn();
    };
  }

  #letIn(): void {
    while (this.#inside < this.#size) {
      const [next] = this.#urgent.size > 0 ? this.#urgent : this.#waiting;
      if (next === undefined) return;
      this.#urgent.delete(next);
      this.#waiting.delete(next);
      next();
    }
  }
}
