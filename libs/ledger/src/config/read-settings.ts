import type { OptionsFault, SettingSource } from '../errors/ledger-options.error.js';
import { SETTING_OPTIONS, settingOf } from './ledger-settings.js';
import type { SettingOption } from './ledger-settings.js';
import { meaningOfName } from './setting-names.js';
import { parseSetting } from './setting-values.js';
import type { GivenValue, PlacedFault, SettingsLayer } from './settings-layer.js';
import { isStreamVariable } from './stream-variable.js';
import { NOT_SHOWN, showText } from './show-value.js';

/** One name with its text in a source. @internal */
export interface NamedText {
  readonly name: string;
  readonly text: string;
  /** The name with its section, if the source has sections. */
  readonly place?: string;
}

/** The settings of one ledger in one source. @internal */
export interface ReadSettings {
  readonly layer: SettingsLayer;
  /** Names of one setting with different values. */
  readonly faults: readonly PlacedFault[];
  readonly unknown: readonly OptionsFault[];
}

/**
 * Selects one ledger's settings from a source. If a setting has several names, the first is used; a
 * different value under another name is a fault that names both.
 *
 * @param source `environment` names are upper case; keys of a `file` may be either
 * @internal
 */
export function readSettings(
  texts: Iterable<NamedText>,
  source: SettingSource & ('environment' | 'file'),
  ledger: string,
): ReadSettings {
  const spelledBy = new Map<SettingOption, NamedText[]>();
  const unknown: OptionsFault[] = [];
  for (const named of texts) {
    if (source === 'environment' && isStreamVariable(named.name)) continue;
    const meaning = meaningOfName(named.name.toUpperCase(), ledger);
    const misspelled = source === 'environment' && named.name !== named.name.toUpperCase();
    if (meaning.kind === 'unknown') {
      unknown.push(unknownName(named.name, meaning.nearest, source));
    } else if (meaning.kind === 'setting' && misspelled) {
      unknown.push(unknownName(named.name, named.name.toUpperCase(), source));
    } else if (meaning.kind === 'setting') {
      spelledBy.set(meaning.option, [...(spelledBy.get(meaning.option) ?? []), named]);
    }
  }
  const given = new Map<SettingOption, GivenValue>();
  const faults: PlacedFault[] = [];
  for (const option of SETTING_OPTIONS) {
    const [first, ...others] = (spelledBy.get(option) ?? []).sort(byLength);
    if (first === undefined) continue;
    const value = parseSetting(settingOf(option), first.text);
    given.set(option, { value, name: first.name, shown: showText(first.text) });
    for (const other of others) {
      if (parseSetting(settingOf(option), other.text) === value) continue;
      faults.push({ option, fault: disagreement(first, other, source) });
    }
  }
  return { layer: { source, given }, faults, unknown };
}

/** The ledger's own, shorter name precedes the guide's. */
function byLength(a: NamedText, b: NamedText): number {
  return a.name.length - b.name.length;
}

function disagreement(first: NamedText, other: NamedText, source: SettingSource): OptionsFault {
  return {
    name: first.name,
    value: showText(first.text),
    rule: `differs from ${other.place ?? other.name} = ${showText(other.text)}; give one of them`,
    source,
  };
}

/** Values of unknown names are not shown, because they may be secrets. */
function unknownName(name: string, nearest: string, source: SettingSource): OptionsFault {
  const spelled = source === 'file' ? nearest.toLowerCase() : nearest;
  return { name, value: NOT_SHOWN, rule: `is not a setting; did you mean ${spelled}?`, source };
}
