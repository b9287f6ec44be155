import { availableParallelism } from 'node:os';
import { LedgerOptionsError } from '../errors/ledger-options.error.js';
import type { OptionsFault } from '../errors/ledger-options.error.js';
import type { SettingInForce } from '../ports/ledger-stats.interface.js';
import { unwiseUrl } from './beside-url.js';
import { checkCodeOptions } from './check-code-options.js';
import { checkSinkOptions } from './check-sink-options.js';
import { checkStreamOptions } from './check-stream-options.js';
import { checkLayers, checkOrder, checkOverflow } from './check-settings.js';
import { originOf } from './config-origin.js';
import type { ConfigOrigin } from './config-origin.js';
import type { LedgerOptions, ResolvedLedgerOptions } from './ledger-options.interface.js';
import { SETTING_OPTIONS } from './ledger-settings.js';
import type { SettingOption } from './ledger-settings.js';
import { codeLayer, mergeLayers, withDefaults } from './settings-layer.js';
import type { PlacedFault, SettingsLayer, SourcedValue } from './settings-layer.js';
import { showValue } from './show-value.js';
import { startingFigures } from './starting-figures.js';
import { unwiseSettings } from './unwise-settings.js';

/**
 * Combines the options with the built-in defaults and checks them, in the same way for `forRoot`,
 * factories and `createLedgerConfig`. Reads no environment.
 *
 * The result is frozen, its settings and warnings too. `connection` is a frozen copy, but its
 * contents are not frozen: `pg` hides the key of an `ssl` object by redefining it, which frozen
 * objects refuse.
 *
 * @param cores that this process may use, for the warning about workers
 * @throws {LedgerOptionsError} with every fault at once
 * @internal
 */
export function resolveLedgerOptions(
  options: LedgerOptions,
  cores: number = availableParallelism(),
): ResolvedLedgerOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    const value = showValue(options);
    const rule = 'must be an object';
    throw new LedgerOptionsError([{ name: 'options', value, rule, source: 'code' }]);
  }
  const origin = originOf(options);
  const override = overrideOf(options, origin);
  const recorded = (origin?.layers ?? []).map((layer) => without(layer, options));
  const inForce = withDefaults(mergeLayers([override, ...recorded]), options);
  const placed = [
    ...(origin?.faults ?? []),
    ...checkLayers([override, ...(origin?.layers ?? [])]),
    ...checkOrder(inForce),
    ...checkOverflow(inForce),
  ];
  const faults = [
    ...inTableOrder(placed),
    ...checkCodeOptions(options),
    ...checkSinkOptions(options, inForce),
    ...checkStreamOptions(options, inForce),
  ];
  const unknown = origin?.unknown ?? [];
  if (faults.length > 0 || (origin?.strict === true && unknown.length > 0)) {
    throw new LedgerOptionsError([...faults, ...unknown]);
  }
  const warnings = [...unknownNames(unknown), ...urlWarnings(options, origin)];
  return freeze(options, inForce, warnings, cores);
}

/**
 * The values of code that differ from those that a configuration recorded; all of them if nothing
 * was recorded.
 */
function overrideOf(options: LedgerOptions, origin: ConfigOrigin | undefined): SettingsLayer {
  const { source, given } = codeLayer(options);
  const changed = [...given].filter(([option, { value }]) => {
    const recorded = origin?.values.get(option);
    return recorded === undefined || !Object.is(recorded.value, value);
  });
  return { source, given: new Map(changed) };
}

/** A recorded setting that code sets to undefined counts as not given. */
function without(layer: SettingsLayer, options: LedgerOptions): SettingsLayer {
  const kept = [...layer.given].filter(([option]) => options[option] !== undefined);
  return { source: layer.source, given: new Map(kept) };
}

function inTableOrder(faults: readonly PlacedFault[]): OptionsFault[] {
  const place = ({ option }: PlacedFault): number =>
    option === undefined ? SETTING_OPTIONS.length : SETTING_OPTIONS.indexOf(option);
  return [...faults].sort((a, b) => place(a) - place(b)).map(({ fault }) => fault);
}

function unknownNames(unknown: readonly OptionsFault[]): string[] {
  return unknown.map(({ name, rule, source }) => `${name} (${source}) ${rule}`);
}

/** Warnings about options without effect, in an address or beside it. */
function urlWarnings({ connection }: LedgerOptions, origin: ConfigOrigin | undefined): string[] {
  const database = origin?.database?.connection === connection ? origin?.database : undefined;
  const name = database?.name ?? 'connection.url';
  return [
    ...(database?.setAside ?? []).map(
      (part) => `${part} (code) has no effect: ${name} contains it and takes precedence.`,
    ),
    ...unwiseUrl(name, connection?.url),
  ];
}

function freeze(
  options: LedgerOptions,
  inForce: ReadonlyMap<SettingOption, SourcedValue>,
  warnings: readonly string[],
  cores: number,
): ResolvedLedgerOptions {
  // Each value was checked against the table, which defines its type.
  const values = Object.fromEntries(
    SETTING_OPTIONS.map((option) => [option, inForce.get(option)?.value]),
  ) as Pick<ResolvedLedgerOptions, SettingOption>;
  const figures = startingFigures(values, cores);
  return Object.freeze({
    ...values,
    figures,
    connection: options.connection && Object.freeze({ ...options.connection }),
    dataSource: options.dataSource,
    sink: options.sink,
    stream: options.stream,
    reader: options.reader,
    migrations: options.migrations,
    connectAtBoot: options.connectAtBoot,
    closeIdleConnections: options.closeIdleConnections ?? true,
    onInvalid: options.onInvalid ?? 'count',
    retention: options.retention,
    onLoss: options.onLoss,
    onState: options.onState,
    settings: Object.freeze(
      Object.fromEntries([...inForce].map(([option, found]) => [option, settingInForce(found)])),
    ),
    warnings: Object.freeze([...warnings, ...unwiseSettings(figures, cores)]),
  });
}

function settingInForce({ value, source, profile }: SourcedValue): SettingInForce {
  const shown = typeof value === 'object' ? 'custom' : (value as string | number);
  return Object.freeze({ value: shown, source, ...(profile !== undefined && { profile }) });
}
