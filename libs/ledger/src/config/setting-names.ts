import { SETTING_OPTIONS } from './ledger-settings.js';
import { nearestName } from './nearest-name.js';
import type { SettingOption } from './ledger-settings.js';

/** The guide's prefix, which any name may have. */
const GUIDE_PREFIX = 'TOKLIGENCE_';
/** A name for some ledger, known or not: the part up to `ASYNC_`, and the rest. */
const LEDGER_NAME = /^((?:TOKLIGENCE_)?LEDGER_(?:.+?_)?ASYNC_)(.*)$/;

const OPTION_BY_SUFFIX = new Map(SETTING_OPTIONS.map((option) => [settingSuffix(option), option]));
const SUFFIXES = [...OPTION_BY_SUFFIX.keys()];

/** The meaning of a name in the environment or an INI file for one ledger. @internal */
export type NameMeaning =
  /** Not a name of this package. */
  | { readonly kind: 'foreign' }
  /** A setting of a ledger with another name. */
  | { readonly kind: 'other-ledger' }
  | { readonly kind: 'setting'; readonly option: SettingOption }
  /** Looks like a ledger's setting but is unknown; `nearest` in upper case. */
  | { readonly kind: 'unknown'; readonly nearest: string };

/** The end of a setting's environment name: `batchSize` to `BATCH_SIZE`. @internal */
export function settingSuffix(option: SettingOption): string {
  return option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * Prefix of a ledger's environment names: `LEDGER_`, or `LEDGER_<NAME>_` with `_` for all
 * characters except letters and digits.
 *
 * @param ledger undefined and `default` mean the default ledger
 * @internal
 */
export function ledgerPrefix(ledger?: string): string {
  if (ledger === undefined || ledger === 'default') return 'LEDGER_';
  return `LEDGER_${ledger.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_`;
}

/** Environment name of a setting; the INI key is the same in lower case. @internal */
export function environmentName(option: SettingOption, ledger?: string): string {
  return `${ledgerPrefix(ledger)}ASYNC_${settingSuffix(option)}`;
}

/**
 * Classifies a name for the ledger. A name that may be a known setting of another ledger is left to
 * that ledger, because the set of ledgers is unknown here.
 *
 * @param name in upper case
 * @internal
 */
export function meaningOfName(name: string, ledger?: string): NameMeaning {
  const [, head, tail] = LEDGER_NAME.exec(name) ?? [];
  if (head === undefined || tail === undefined) return { kind: 'foreign' };
  const plain = name.startsWith(GUIDE_PREFIX) ? name.slice(GUIDE_PREFIX.length) : name;
  const own = `${ledgerPrefix(ledger)}ASYNC_`;
  const option = plain.startsWith(own) ? OPTION_BY_SUFFIX.get(plain.slice(own.length)) : undefined;
  if (option !== undefined) return { kind: 'setting', option };
  if (SUFFIXES.some((suffix) => plain.endsWith(`_ASYNC_${suffix}`)))
    return { kind: 'other-ledger' };
  return { kind: 'unknown', nearest: `${head}${nearestName(tail, SUFFIXES)}` };
}
