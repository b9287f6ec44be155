import type { OptionsFault } from '../errors/ledger-options.error.js';
import { SETTING_OPTIONS, settingOf } from './ledger-settings.js';
import type { SettingOption } from './ledger-settings.js';
import { grouped, keepsRule, ruleOf } from './setting-values.js';
import type { PlacedFault, SettingsLayer, SourcedValue } from './settings-layer.js';

/** Pairs of settings where the first must be at most, or below, the second. */
const ORDERED: readonly (readonly [SettingOption, 'at most' | 'below', SettingOption])[] = [
  ['batchSize', 'at most', 'bufferSize'],
  ['retryMinMs', 'at most', 'retryMaxMs'],
  ['healthRecoverAt', 'below', 'healthDegradedAt'],
  ['healthDegradedAt', 'below', 'healthDownAt'],
];
const REVERSED = { 'at most': 'at least', below: 'above' } as const;

/**
 * Finds values of the wrong kind or out of range in every source, overridden ones too. @internal
 */
export function checkLayers(layers: readonly SettingsLayer[]): PlacedFault[] {
  return SETTING_OPTIONS.flatMap((option) =>
    layers.flatMap(({ source, given }) => {
      const found = given.get(option);
      if (found === undefined || keepsRule(settingOf(option), found.value)) return [];
      const rule = ruleOf(settingOf(option));
      return [{ option, fault: { name: found.name, value: found.shown, rule, source } }];
    }),
  );
}

/**
 * Finds valid values that contradict each other. The fault belongs to the value that was given; its
 * rule names the other one.
 *
 * @param inForce all settings, defaults included
 * @internal
 */
export function checkOrder(inForce: ReadonlyMap<SettingOption, SourcedValue>): PlacedFault[] {
  return ORDERED.flatMap(([lowOption, relation, highOption]) => {
    const low = inForce.get(lowOption);
    const high = inForce.get(highOption);
    if (!isKept(lowOption, low) || !isKept(highOption, high)) return [];
    if (low.value < high.value || (relation === 'at most' && low.value === high.value)) return [];
    if (low.source === 'default' && high.source !== 'default') {
      return [orderFault(highOption, high, `${REVERSED[relation]} ${named(lowOption, low)}`)];
    }
    return [orderFault(lowOption, low, `${relation} ${named(highOption, high)}`)];
  });
}

/** @param inForce all settings, defaults included @internal */
export function checkOverflow(inForce: ReadonlyMap<SettingOption, SourcedValue>): PlacedFault[] {
  const overflow = inForce.get('overflow');
  if (overflow?.value !== 'disk' || inForce.has('journalDir')) return [];
  const { name, shown: value, source } = overflow;
  const rule = 'needs a journal: set journalDir as well';
  return [{ option: 'overflow', fault: { name, value, rule, source } }];
}

type Numeric = SourcedValue & { readonly value: number };

function isKept(option: SettingOption, found: SourcedValue | undefined): found is Numeric {
  return typeof found?.value === 'number' && keepsRule(settingOf(option), found.value);
}

function named(option: SettingOption, { name, value, source, profile }: Numeric): string {
  const spelled = profile !== undefined || name === option ? option : `${option} (${name})`;
  const origin = profile === undefined ? source : `profile ${profile}, ${source}`;
  return `${spelled}, which is ${grouped(value)} (${origin})`;
}

function orderFault(option: SettingOption, found: Numeric, rule: string): PlacedFault {
  const subject = found.profile === undefined ? 'must' : `sets ${option} ${found.value}; it must`;
  const fault: OptionsFault = {
    name: found.name,
    value: found.profile ?? found.shown,
    rule: `${subject} be ${rule}`,
    source: found.source,
  };
  return { option, fault };
}
