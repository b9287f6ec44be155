import { SETTING_OPTIONS } from './ledger-settings.js';
import { nearestName } from './nearest-name.js';
import type { SettingOption } from './ledger-settings.js';

/** The guide's spelling: any name may carry it in front. */
const GUIDE_PREFIX = 'TOKLIGENCE_';
/** A name that is meant for some ledger, known or not: everything up to `ASYNC_`, and the rest. */
const LEDGER_NAME = /^((?:TOKLIGENCE_)?LEDGER_(?:.+?_)?ASYNC_)(.*)$/;

const OPTION_BY_SUFFIX = new Map(SETTING_OPTIONS.map((option) => [settingSuffix(option), option]));
const SUFFIXES = [...OPTION_BY_SUFFIX.keys()];

/** What a name in the environment or an INI file is to one ledger. @internal */
export type NameMeaning =
  /** Nothing of ours. */
  | { readonly kind: 'foreign' }
  /** A setting of a ledger with another name. */
  | { readonly kind: 'other-ledger' }
  | { readonly kind: 'setting'; readonly option: SettingOption }
  /** Meant for a ledger, and known by none; `nearest` in upper case. */
  | { readonly kind: 'unknown'; readonly nearest: string };

/** The end of a setting's environment name: `batchSize` to `BATCH_SIZE`. @internal */
export function settingSuffix(option: SettingOption): string {
  return option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * What every environment name of a ledger begins with: `LEDGER_`, or `LEDGER_<NAME>_` with all but
 * letters and digits as `_`.
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
 * Tells what a name means to the ledger. A name that may be a known setting of any other ledger is
 * left to that one, since which ledgers exist is not known here.
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
