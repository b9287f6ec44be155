import type { LedgerStats } from '../ports/ledger-stats.interface.js';

/** Shorter spans reflect the current batch rather than the rate. */
const MIN_SPAN_MS = 1000;
/** A mean over a longer span is not a current rate. */
const MAX_SPAN_MS = 60_000;

/** Entries a second over the last span between two probes. @internal */
export interface ChannelRates {
  /**
   * Queued, recovered from a journal or received from a stream: by the conservation law, all
   * entries to settle.
   */
  readonly taken: number;
  /** Written, published, duplicate, dead-lettered or spilled. */
  readonly settled: number;
}

type Counted = Pick<
  LedgerStats,
  | 'queued'
  | 'recovered'
  | 'received'
  | 'written'
  | 'published'
  | 'duplicate'
  | 'deadLettered'
  | 'spilled'
>;

/**
 * Rates from occasional readings of counters, over the span between two probes that are 1 to 60 s
 * apart. Probes within a span get the rates of the last one.
 *
 * @internal
 */
export class RateMeter {
  #from: { at: number; taken: number; settled: number } | undefined;
  #rates: ChannelRates | null = null;

  /**
   * @param at monotonic milliseconds
   * @returns null until there is a span
   */
  observe(at: number, counters: Counted): ChannelRates | null {
    const from = this.#from;
    const span = from === undefined ? Number.POSITIVE_INFINITY : at - from.at;
    if (from !== undefined && span < MIN_SPAN_MS) return this.#rates;
    const { queued, recovered, received } = counters;
    const { written, published, duplicate, deadLettered, spilled } = counters;
    const taken = queued + recovered + received;
    const settled = written + published + duplicate + deadLettered + spilled;
    this.#rates =
      from === undefined || span > MAX_SPAN_MS
        ? null
        : {
            taken: ((taken - from.taken) / span) * 1000,
            settled: ((settled - from.settled) / span) * 1000,
          };
    this.#from = { at, taken, settled };
    return this.#rates;
  }
}
