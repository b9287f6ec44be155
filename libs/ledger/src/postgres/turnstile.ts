import type { Deadline } from '../clock/deadline.js';

/** Frees the caller's place. May be called more than once. @internal */
export type Leave = () => void;

/** Options of a wait. @internal */
export interface TurnstileWait {
  readonly deadline: Deadline;
  /** Goes before all callers that are not urgent. Default: false. */
  readonly isUrgent?: boolean;
  /** Maximum waiting callers, including this one. Default: no limit. */
  readonly maxWaiting?: number;
}

/** The maximum number of callers waits already. @internal */
export class TurnstileFullError extends Error {
  constructor(readonly waiting: number) {
    super(`${waiting} wait already`);
    this.name = 'TurnstileFullError';
  }
}

/** Called when it is the waiter's turn. */
type Waiter = () => void;

/**
 * Admits a limited number of callers at once; the others wait in line, first come, first served.
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

  /** Waiting callers that are not urgent. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Callers inside stay inside; a larger size admits the next ones at once. */
  resize(size: number): void {
    this.#size = size;
    this.#letIn();
  }

  /**
   * Waits for a turn. The caller must always leave.
   *
   * @throws TurnstileFullError if too many wait already, DeadlineError if the turn did not come in
   *   time
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
      // The turn may have come at the same moment as the deadline.
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
