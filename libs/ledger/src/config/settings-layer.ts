import type { OptionsFault, SettingSource } from '../errors/ledger-options.error.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { isProfileName, profileOf } from './ledger-profiles.js';
import { SETTING_OPTIONS, settingOf } from './ledger-settings.js';
import type { SettingOption } from './ledger-settings.js';
import { isNone } from './setting-values.js';
import { showValue } from './show-value.js';

/** A value that one source gives explicitly. @internal */
export interface GivenValue {
  /** Number, text, or any value from code; not yet checked. */
  readonly value: unknown;
  /** The name in its source's spelling. */
  readonly name: string;
  /** The value as an error may show it. */
  readonly shown: string;
}

/** All values of one source. @internal */
export interface SettingsLayer {
  readonly source: SettingSource;
  readonly given: ReadonlyMap<SettingOption, GivenValue>;
}

/** The value that took precedence. @internal */
export interface SourcedValue extends GivenValue {
  readonly source: SettingSource;
  /** The profile that gave the value, if it was not given explicitly. */
  readonly profile?: string;
}

/** A fault and its setting; faults without a setting come last. @internal */
export interface PlacedFault {
  readonly option?: SettingOption;
  readonly fault: OptionsFault;
}

/**
 * The settings of an object in code; undefined means not given.
 *
 * @internal
 */
export function codeLayer(options: LedgerOptions): SettingsLayer {
  const given = SETTING_OPTIONS.flatMap((option): [typeof option, GivenValue][] => {
    const value: unknown = options[option];
    return value === undefined ? [] : [[option, { value, name: option, shown: showValue(value) }]];
  });
  return { source: 'code', given: new Map(given) };
}

/**
 * Combines sources. An explicit value takes precedence over lower sources and over the profile of
 * its own source. One profile is in force, that of the highest source that names one; its figures
 * have that source's precedence.
 *
 * @param layers highest first
 * @returns the values in force, without built-in defaults, in the order of the settings table
 * @internal
 */
export function mergeLayers(
  layers: readonly SettingsLayer[],
): ReadonlyMap<SettingOption, SourcedValue> {
  const profileLayer = layers.find((layer) => layer.given.has('profile'));
  const merged = new Map<SettingOption, SourcedValue>();
  for (const option of SETTING_OPTIONS) {
    for (const layer of layers) {
      const given = layer.given.get(option);
      const found = given
        ? { ...given, source: layer.source }
        : layer === profileLayer && figureOf(layer, option);
      if (!found) continue;
      if (!isNone(settingOf(option), found.value)) merged.set(option, found);
      break;
    }
  }
  return merged;
}

function figureOf(layer: SettingsLayer, option: SettingOption): SourcedValue | undefined {
  const given = layer.given.get('profile');
  if (given === undefined || !isProfileName(given.value)) return undefined;
  const figures: Partial<Record<SettingOption, number | 'auto'>> = profileOf(given.value);
  const value = figures[option];
  if (value === undefined) return undefined;
  const shown = `${value} (profile ${given.value})`;
  return { value, name: given.name, shown, source: layer.source, profile: given.value };
}

/**
 * Adds the built-in default of each setting that no source gives.
 *
 * @param options with the `sink`, if the application has its own
 * @internal
 */
export function withDefaults(
  merged: ReadonlyMap<SettingOption, SourcedValue>,
  { sink }: Pick<LedgerOptions, 'sink'>,
): ReadonlyMap<SettingOption, SourcedValue> {
  const all = new Map<SettingOption, SourcedValue>();
  const isGateway = merged.get('role')?.value === 'gateway';
  for (const option of SETTING_OPTIONS) {
    // Only PostgreSQL has a dead-letter table.
    const isFile = option === 'deadLetters' && (sink !== undefined || isGateway);
    const isDisk = option === 'overflow' && merged.has('journalDir');
    const value = isFile ? 'file' : isDisk ? 'disk' : settingOf(option).default;
    const found = merged.get(option);
    if (found !== undefined) all.set(option, found);
    else if (value !== undefined) {
      all.set(option, { value, name: option, shown: showValue(value), source: 'default' });
    }
  }
  return all;
}
