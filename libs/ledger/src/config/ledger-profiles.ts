import type { LedgerProfileName, LedgerSettings } from '../ports/ledger-settings.interface.js';

/**
 * What a profile sets: the figures of the guide's table, and the byte bound where it must grow.
 *
 * @publicApi
 */
export type LedgerProfile = Readonly<
  Required<Pick<LedgerSettings, 'batchSize' | 'flushMs' | 'bufferSize' | 'numWorkers'>> &
    Pick<LedgerSettings, 'bufferMaxBytes'>
>;

function profile(
  batchSize: number,
  flushMs: number,
  bufferSize: number,
  numWorkers: number,
): LedgerProfile {
  return Object.freeze({ batchSize, flushMs, bufferSize, numWorkers });
}

/**
 * Five sets of figures by requests a second; frozen, in ascending order.
 *
 * Source: the summary table of the tuning guide. `ultra` also raises `bufferMaxBytes` to 1 GiB:
 * a million waiting rows of some 200 bytes need about 200 MB, and rows with memos several times
 * that, so the default of 256 MiB would be met long before `bufferSize`.
 *
 * @publicApi
 */
export const LEDGER_PROFILES: Readonly<Record<LedgerProfileName, LedgerProfile>> = Object.freeze({
  low: profile(50, 2000, 5_000, 1),
  medium: profile(100, 1000, 10_000, 2),
  high: profile(500, 500, 50_000, 5),
  'very-high': profile(2_000, 200, 200_000, 10),
  ultra: Object.freeze({
    ...profile(10_000, 100, 1_000_000, 50),
    bufferMaxBytes: 1_073_741_824,
  }),
});

/** True for the name of a profile, whatever else is given. @internal */
export function isProfileName(value: unknown): value is LedgerProfileName {
  return typeof value === 'string' && Object.hasOwn(LEDGER_PROFILES, value);
}
