import type { LedgerProfileName, LedgerSettings } from '../ports/ledger-settings.interface.js';

/**
 * The settings of a profile: the figures of the guide's table, and a larger bound of bytes if
 * needed.
 *
 * @publicApi
 */
export type LedgerProfile = Readonly<
  Record<'batchSize' | 'flushMs' | 'bufferSize' | 'numWorkers', number> &
    Pick<LedgerSettings, 'bufferMaxBytes'>
>;

/** The settings that a profile sets, each of which may be `auto`. @internal */
export type TunedSetting = Exclude<keyof LedgerProfile, 'bufferMaxBytes'>;

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
 * Source: the summary table of the tuning guide. `ultra` also raises `bufferMaxBytes` to 1 GiB: a
 * million waiting rows of about 200 bytes need about 200 MB, and rows with memos several times
 * that, so the default of 256 MiB would be reached long before `bufferSize`.
 *
 * @publicApi
 */
export const LEDGER_PROFILES: Readonly<Record<Exclude<LedgerProfileName, 'auto'>, LedgerProfile>> =
  Object.freeze({
    low: profile(50, 2000, 5_000, 1),
    medium: profile(100, 1000, 10_000, 2),
    high: profile(500, 500, 50_000, 5),
    'very-high': profile(2_000, 200, 200_000, 10),
    ultra: Object.freeze({
      ...profile(10_000, 100, 1_000_000, 50),
      bufferMaxBytes: 1_073_741_824,
    }),
  });

/** The settings of profile `auto`. @internal */
export const AUTO_PROFILE: Readonly<Record<TunedSetting, 'auto'>> = Object.freeze({
  batchSize: 'auto',
  flushMs: 'auto',
  bufferSize: 'auto',
  numWorkers: 'auto',
});

const PROFILES = Object.freeze({ auto: AUTO_PROFILE, ...LEDGER_PROFILES });

/** In the order of the documents. @internal */
export const PROFILE_NAMES = Object.freeze(Object.keys(PROFILES)) as readonly LedgerProfileName[];

/** The settings of a profile. @internal */
export function profileOf(
  name: LedgerProfileName,
): Partial<Record<keyof LedgerProfile, number | 'auto'>> {
  return PROFILES[name];
}

/** True for the name of a profile, whatever else is given. @internal */
export function isProfileName(value: unknown): value is LedgerProfileName {
  return typeof value === 'string' && Object.hasOwn(PROFILES, value);
}
