import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerStream, StreamMessage } from '../ports/ledger-stream.interface.js';

/**
 * Signs within the time after which a stream delivers a message again: two of them may be lost or
 * late.
 */
const SIGNS = 3;

/**
 * Reports every message in progress to the stream, so that it is not delivered again meanwhile.
 *
 * @internal
 */
export class SignsOfLife {
  readonly #messages = new Set<StreamMessage>();
  #timer: Timer | undefined;

  constructor(
    private readonly stream: Pick<LedgerStream, 'redeliverMs'>,
    private readonly clock: Clock,
  ) {}

  /** Messages in progress. */
  get size(): number {
    return this.#messages.size;
  }

  add(message: StreamMessage): void {
    this.#messages.add(message);
    this.#begin();
  }

  delete(message: StreamMessage): void {
    this.#messages.delete(message);
    if (this.#messages.size > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #begin(): void {
    const { redeliverMs } = this.stream;
    if (this.#timer !== undefined || redeliverMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.clock.after(redeliverMs / SIGNS, () => {
      this.#timer = undefined;
      for (const message of this.#messages) message.alive();
      this.#begin();
    });
  }
}
