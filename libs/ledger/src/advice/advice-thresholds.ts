/**
 * Thresholds of advice. If rules of the guide contradict each other, the docstring says which is
 * used and why.
 */

/** Minimum window in milliseconds; a shorter one shows a moment and not a rate. */
export const MIN_WINDOW_MS = 5_000;

/**
 * Below this a journal has only the files in use: two of 16 MiB, and those with unsettled entries.
 * In bytes. Source: the lower end of `journalMaxBytes`, four files.
 */
export const JOURNAL_IN_USE_BYTES = 67_108_864;

/** A journal that will be full within this many milliseconds is a finding: one hour. */
export const JOURNAL_FULL_SOON_MS = 3_600_000;

/** Minimum batches or flushes in a window for a conclusion. */
export const MIN_BATCHES = 10;

/**
 * Batches count as always full if at least this share was due because it was full.
 *
 * The guide says to raise `batch_size` whenever they are. But they are at the upper rate of each
 * row of its own table: 10,000 entries a second with 500 ms and batches of 500 make ten full
 * batches a flush interval. A full batch by itself only means that `flushMs` never ends the wait,
 * so the rule speaks only where larger batches would gain something: from `HALF_BUSY` on.
 */
export const ALWAYS_FULL_SHARE = 0.9;

/** The cost of a batch matters from this share of the workers' time on. */
export const HALF_BUSY = 0.5;

/**
 * Workers count as always busy from this share of their time on. It is the guide's "connections
 * equal workers": a busy worker is an active connection, and this needs no query to see.
 */
export const ALWAYS_BUSY = 0.95;

/**
 * From this share on, the channel grows because workers have no time left, not because of a burst.
 */
export const SHORT_OF_TIME = 0.9;

/**
 * Maximum time of a flush in milliseconds. Source: the guide, flush frequency.
 *
 * Its other rule increases batches that are always full, which makes flushes longer, and its sample
 * line shows 123 ms for 5,000 entries as normal. Therefore batches grow only while flushes stay
 * below this limit, and shrink only if workers have time to spare. While entries wait, throughput
 * is more important than the time of one flush.
 */
export const SLOW_FLUSH_MS = 100;

/**
 * Entries a second of one worker from which a slow flush is a large batch, and below which it is a
 * slow server. Source: the guide's target for its largest row, 50 workers x 20,000.
 */
export const GOOD_WORKER_RATE = 20_000;

/** Source: the guide's largest batch; above 10,000 rows COPY gains nothing (architecture page). */
export const LARGEST_USEFUL_BATCH = 10_000;

/**
 * Maximum factor by which one step raises a setting. Source: the guide's "immediately, e.g. 10x".
 */
export const LARGEST_STEP = 10;

/**
 * A full batch below this time, in milliseconds, is mostly round trip. A larger batch costs hardly
 * more and needs no connection, so it is advised before more workers. The guide has no order
 * between its "increase batch_size" and "increase num_workers". Measured on two cores with batches
 * of one: one worker wrote 2,000 entries/s, four wrote 4,100, and one with batches of ten 9,700
 * (advise-ledger.int-spec.ts takes these steps).
 */
export const CHEAP_FLUSH_MS = 10;

/**
 * The server's connections for each worker. Source: the guide, `workers = min(cores,
 * max_connections / 10)`.
 *
 * Its table has 50 workers for the largest row, for which the formula requires 50 cores and 500
 * connections. The formula is used: advice raises workers up to its limit, and above it removes
 * only workers that are never busy. Measurements take precedence over a rule of thumb, so busy
 * workers above the limit are kept.
 */
export { CONNECTIONS_PER_WORKER } from '../tuning/auto-limits.js';

/**
 * The event loop is the bottleneck from this share of its time on, because waits grow without a
 * bound above it, as in any queue. Source: the utilization law, 1 / (1 - 0.9) = ten times the time
 * of service.
 */
export const BUSY_EVENT_LOOP = 0.9;

/** The channel grows if less than this share of the demand was settled. */
export const KEEPS_UP_SHARE = 0.95;

/**
 * Default for the seconds of the peak rate that the channel should hold. Source: the guide's
 * example (`buffer_size >= peak_qps x burst_duration_seconds`, 1 second) and the last row of its
 * table.
 *
 * The guide's "key formula", `peak x (batch / workers / throughput)`, is the number of entries that
 * arrive while one batch is written: a hundredth of the first figure in its own example. It is the
 * minimum for a steady stream, not room for a burst. Therefore the larger of both is used, with the
 * measured time of a flush.
 */
export const BURST_SECONDS = 1;
