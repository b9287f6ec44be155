/**
 * How long a test waits for what must happen: far above what it takes where several test runs share two
 * processors, and below the limit of a test, so that what did not happen is named.
 */
export const PATIENCE = { timeout: 25_000, interval: 50 } as const;
