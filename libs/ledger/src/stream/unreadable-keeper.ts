import type { Clock } from '../clock/clock.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { StreamMessage } from '../ports/ledger-stream.interface.js';
import type { Counters } from '../stats/counters.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { DeadLetterKeeper } from '../writer/dead-letter-keeper.js';

/** Dependencies of the keeper. */
export interface UnreadableKeeperParts {
  readonly keeper: DeadLetterKeeper;
  readonly counters: Counters;
  readonly losses: LossReporter;
  readonly clock: Clock;
  /** Milliseconds until redelivery of a message whose dead letter could not be kept. */
  readonly laterMs: number;
}

/**
 * Keeps messages that are not batches as dead letters, with all their bytes. The stream removes one
 * only after its letter is kept.
 *
 * @internal
 */
export class UnreadableKeeper {
  readonly #parts: UnreadableKeeperParts;

  constructor(parts: UnreadableKeeperParts) {
    this.#parts = parts;
  }

  /** Never rejects. @param fault of the message, without its values */
  async keep(message: StreamMessage, fault: string): Promise<void> {
    const { keeper, counters, losses, clock, laterMs } = this.#parts;
    if (!(await keeper.tryKeep(letterOf(message, fault, clock.now())))) {
      return message.later(laterMs);
    }
    // Its number of entries is unknown, so it counts as one.
    counters.received++;
    counters.deadLettered++;
    losses.note('deadLettered', 1, { reason: 'unreadable' });
    message.done();
  }
}

function letterOf(message: StreamMessage, fault: string, now: number): DeadLetter {
  const { headers, payload, redeliveries } = message;
  return {
    uuid: undefined,
    reason: 'unreadable',
    sqlState: undefined,
    detail: `a message of the stream can't be read: ${fault}`,
    attempts: redeliveries + 1,
    queuedAt: now,
    deadLetteredAt: now,
    entry: { headers, payload: payload.toString('base64') },
  };
}
