import type { Clock } from '../clock/clock.js';

/** Lets one caller wait for events of others. @internal */
export class WakeUp {
  #wake: (() => void) | undefined;
  #isDue = false;

  constructor(private readonly clock: Clock) {}

  /** Ends the wait, or the next one. */
  call(): void {
    this.#isDue = true;
    this.#wake?.();
  }

  /** Resolves after a call since the last wait, an abort, or this many milliseconds. */
  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', end);
        this.#wake = undefined;
        this.#isDue = false;
        resolve();
      };
      const timer = this.clock.after(ms, end);
      if (this.#isDue || signal.aborted) return end();
      this.#wake = end;
      signal.addEventListener('abort', end);
    });
  }
}
