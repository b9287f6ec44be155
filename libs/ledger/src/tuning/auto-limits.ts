/**
 * The bounds within which `auto` looks for figures. Each says where it comes from; "measured" is
 * `npm run bench -- throughput` and `npm run bench -- auto`, on two cores.
 */

/**
 * Entries of a batch at most. Measured: from 2,000 entries and two workers on all batch sizes are within
 * 10 %; above 10,000 COPY gains nothing, and one attempt repeats more.
 */
export const AUTO_BATCH = 10_000;

/**
 * Entries that wait from which a batch is due, so that lag does not grow with the rate. Measured: writing so
 * many takes about nine times the fixed part of a flush, which is what the delay is after at lower rates.
 */
export const AUTO_ENOUGH = 1_500;

/** Workers at most. Measured: the second brings 60 to 75 %, 3 and 4 at most 7 %, and 50 cost 12 %. */
export const AUTO_MOST_WORKERS = 16;

/** Workers to begin with; one where there is one core. Source: as `AUTO_MOST_WORKERS`. */
export const AUTO_FIRST_WORKERS = 2;

/** The shortest delay in milliseconds. Measured: below it, batches cost the server more than entries gain. */
export const AUTO_LEAST_DELAY_MS = 25;

/** The longest delay in milliseconds. Source: the default of `flushMs`. */
export const AUTO_MOST_DELAY_MS = 1_000;

/**
 * The server's connections for each worker of one instance. Source: the guide,
 * `workers = min(cores, max_connections / 10)`.
 */
export const CONNECTIONS_PER_WORKER = 10;

/** Workers of one instance at most, by what the server takes: 1 to `AUTO_MOST_WORKERS`. @internal */
export function mostWorkers(maxConnections: number): number {
  const byServer = Math.floor(maxConnections / CONNECTIONS_PER_WORKER);
  return Math.max(1, Math.min(AUTO_MOST_WORKERS, byServer));
}
