/**
 * Bounds of the figures that `auto` may choose, each with its source. "Measured" means `npm run
 * bench -- throughput` and `npm run bench -- auto`, on two cores.
 */

/**
 * Maximum entries of a batch. Measured: from 2,000 entries and two workers up, all batch sizes are
 * within 10 %. Above 10,000 COPY gains nothing, and one attempt repeats more.
 */
export const AUTO_BATCH = 10_000;

/**
 * A batch is due when this many entries wait, so that lag does not grow with the rate. Measured:
 * writing them takes about nine times the fixed part of a flush, the ratio that the delay aims at
 * for lower rates.
 */
export const AUTO_ENOUGH = 1_500;

/** Maximum workers. Measured: the second adds 60 to 75 %, 3 and 4 at most 7 %, and 50 cost 12 %. */
export const AUTO_MOST_WORKERS = 16;

/** Initial workers; one on a single core. Source: as `AUTO_MOST_WORKERS`. */
export const AUTO_FIRST_WORKERS = 2;

/**
 * The shortest delay in milliseconds. Measured: below it, batches cost the server more than entries
 * gain.
 */
export const AUTO_LEAST_DELAY_MS = 25;

/** The longest delay in milliseconds. Source: the default of `flushMs`. */
export const AUTO_MOST_DELAY_MS = 1_000;

/**
 * The server's connections for each worker of one instance. Source: the guide, `workers =
 * min(cores, max_connections / 10)`.
 */
export const CONNECTIONS_PER_WORKER = 10;

/**
 * Maximum workers of one instance for a server's connections: 1 to `AUTO_MOST_WORKERS`.
 *
 * @internal
 */
export function mostWorkers(maxConnections: number): number {
  const byServer = Math.floor(maxConnections / CONNECTIONS_PER_WORKER);
  return Math.max(1, Math.min(AUTO_MOST_WORKERS, byServer));
}
