/**
 * The figures that advice goes by. Where the guide's own rules contradict each other, the docstring
 * says which is used and why.
 */

/** A window shorter than this shows a moment, not a rate, and gives no advice. In milliseconds. */
export const MIN_WINDOW_MS = 5_000;

/**
 * Below this a journal only has the files at work: two of 16 MiB, and what workers have not settled yet. In
 * bytes. Source: the lower end of `journalMaxBytes`, four files.
 */
export const JOURNAL_IN_USE_BYTES = 67_108_864;

/** A journal that is full later than in so many milliseconds leaves time to look: one hour. */
export const JOURNAL_FULL_SOON_MS = 3_600_000;

/** Fewer batches or flushes in a window say nothing about all of them. */
export const MIN_BATCHES = 10;

/**
 * Share of batches that were due because they were full, from which they count as always full.
 *
 * The guide says to raise `batch_size` whenever they are. But at the upper rate of each row of its
 * own table they are: 10,000 entries a second with 500 ms and batches of 500 make ten full batches a
 * flush interval. A full batch by itself only means that `flushMs` never ends the wait, so the rule
 * speaks only where larger batches would gain something: from `HALF_BUSY` on.
 */
export const ALWAYS_FULL_SHARE = 0.9;

/** Share of the workers' time that writes take, from which the cost of a batch matters at all. */
export const HALF_BUSY = 0.5;

/**
 * Share of the workers' time from which they count as always busy. It is the guide's "connections
 * equal workers": a busy worker is an active connection, and this needs no query to see.
 */
export const ALWAYS_BUSY = 0.95;

/** From here on the channel grows because workers have no time left, not because of a burst. */
export const SHORT_OF_TIME = 0.9;

/**
 * A flush should not take longer, in milliseconds. Source: the guide, flush frequency.
 *
 * Its other rule wants larger batches when they are always full, which makes flushes longer; and its
 * sample line shows 123 ms for 5,000 entries as normal. So: batches grow only as far as flushes
 * stay below this, and shrink for it only while workers have time to spare, since throughput goes
 * before the time of one flush as long as entries wait.
 */
export const SLOW_FLUSH_MS = 100;

/**
 * Entries a second of one worker from which a slow flush is a large batch, and below which it is a
 * slow server. Source: the guide's target for its largest row, 50 workers x 20,000.
 */
export const GOOD_WORKER_RATE = 20_000;

/** Source: the guide's largest batch; above 10,000 rows COPY gains nothing (architecture page). */
export const LARGEST_USEFUL_BATCH = 10_000;

/** A setting is raised by this at most in one step. Source: the guide's "immediately, e.g. 10x". */
export const LARGEST_STEP = 10;

/**
 * A full batch that takes no longer than this, in milliseconds, is mostly the way to the server and
 * back, so that a larger one costs hardly more, and no connection: it goes before more workers. The
 * guide has no order between its "increase batch_size" and "increase num_workers". Measured on two
 * cores with batches of one: one worker wrote 2,000 entries/s, four wrote 4,100, and one with
 * batches of ten 9,700 (advise-ledger.int-spec.ts takes these steps).
 */
export const CHEAP_FLUSH_MS = 10;

/**
 * The server's connections for each worker. Source: the guide, `workers = min(cores,
 * max_connections / 10)`.
 *
 * Its table has 50 workers for the largest row, for which the formula asks 50 cores and 500
 * connections. The formula is used: as far as it goes advice raises workers, and above it only those
 * that are never busy are taken back. What was measured goes before a rule of thumb, so workers
 * above the limit that do work are left alone.
 */
export { CONNECTIONS_PER_WORKER } from '../tuning/auto-limits.js';

/**
 * Share of the event loop's time from which it is what binds: above it waits grow without a bound,
 * as in any queue. Source: the utilization law, 1 / (1 - 0.9) = ten times the time of service.
 */
export const BUSY_EVENT_LOOP = 0.9;

/** The channel grows if less than this share of the demand was settled. */
export const KEEPS_UP_SHARE = 0.95;

/**
 * Seconds of the peak rate that the channel should hold, unless told. Source: the guide's example
 * (`buffer_size >= peak_qps x burst_duration_seconds`, 1 second) and the last row of its table.
 *
 * The guide's "key formula", `peak x (batch / workers / throughput)`, is what comes in while one
 * batch is written: a hundredth of the first in its own example. It is the floor of a steady stream,
 * not room for a burst, so the larger of both is used, with the time of a flush as it was measured.
 */
export const BURST_SECONDS = 1;
