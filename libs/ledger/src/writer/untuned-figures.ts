import type { Clock } from '../clock/clock.js';
import type { AutoStats } from '../ports/ledger-stats.interface.js';

/** Dependencies of the figures without tuning. */
export interface UntunedFiguresParts {
  /** Maximum entries of a batch. */
  readonly batchSize: number;
  readonly writer: { readonly numWorkers: number };
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * The figures of `stats().auto` when batches come from a stream. They are written as fast as
 * possible. There is no delay, and no backlog in this process to tune workers by. The figures
 * therefore keep the initial values of `auto`.
 *
 * @internal
 */
export class UntunedFigures {
  readonly #parts: UntunedFiguresParts;
  readonly #since: number;

  constructor(parts: UntunedFiguresParts) {
    this.#parts = parts;
    this.#since = parts.clock.now();
  }

  get stats(): AutoStats {
    const { batchSize, writer } = this.#parts;
    return Object.freeze({
      batch: batchSize,
      delayMs: 0,
      workers: writer.numWorkers,
      why: 'a writer of a stream takes the messages that are there, so nothing is tuned',
      since: this.#since,
      tried: Object.freeze([]),
    });
  }
}
