import type { Clock } from '../clock/clock.js';
import type { AutoStats } from '../ports/ledger-stats.interface.js';

/** What figures are read from that nothing tunes. */
export interface UntunedFiguresParts {
  /** Entries of a batch at most. */
  readonly batchSize: number;
  readonly writer: { readonly numWorkers: number };
  readonly clock: Pick<Clock, 'now'>;
}

/**
 * What `stats().auto` says where batches come from a stream. They are written as fast as they can be, so there is no
 * delay, and no backlog in this process by which workers could be tuned: the figures stay as `auto` begins with them.
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
