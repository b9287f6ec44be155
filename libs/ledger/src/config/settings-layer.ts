import type { OptionsFault, SettingSource } from '../errors/ledger-options.error.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { isProfileName, profileOf } from './ledger-profiles.js';
import { SETTING_OPTIONS, settingOf } from './ledger-settings.js';
import type { SettingOption } from './ledger-settings.js';
import { isNone } from './setting-values.js';
import { showValue } from './show-value.js';

/** A value that one source gives by name. @internal */
export interface GivenValue {
  /** Number or text, or whatever code gave; not yet checked. */
  readonly value: unknown;
  /** The name as its source spells it. */
  readonly name: string;
  /** The value as an error may show it. */
  readonly shown: string;
}

/** All that one source gives. @internal */
export interface SettingsLayer {
  readonly source: SettingSource;
  readonly given: ReadonlyMap<SettingOption, GivenValue>;
}

/** A value that won over all other sources. @internal */
export interface SourcedValue extends GivenValue {
  readonly source: SettingSource;
  /** The profile that the value is a figure of, if it was not given by name. */
  readonly profile?: string;
}

/** A fault and the setting it belongs to; without one it comes after all settings. @internal */
export interface PlacedFault {
  readonly option?: SettingOption;
  readonly fault: OptionsFault;
}

/**
 * The settings that an object in code gives; those that are undefined are not given.
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
 * Lays sources over each other. A value by name beats every lower source, and the figures of the
 * profile of its own source. One profile is in force, that of the highest source that names one;
 * its figures stand in that source.
 *
 * @param layers highest first
 * @returns what is in force, without built-in defaults, in the order of the settings table
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
 * @param options with the `sink`, if it is one of the application's own
 * @internal
 */
export function withDefaults(
  merged: ReadonlyMap<SettingOption, SourcedValue>,
  { sink }: Pick<LedgerOptions, 'sink'>,
): ReadonlyMap<SettingOption, SourcedValue> {
  const all = new Map<SettingOption, SourcedValue>();
  const isGateway = merged.get('role')?.value === 'gateway';
  for (const option of SETTING_OPTIONS) {
    // Only PostgreSQL has a table for them.
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
