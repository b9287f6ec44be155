import type { OptionsFault } from '../errors/ledger-options.error.js';
import { besideUrl } from './beside-url.js';
import { brokenUrlRule } from './broken-url-rule.js';
import { LEDGER_CONFIG_ORIGIN } from './config-origin.js';
import type { ConfigOrigin } from './config-origin.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { COMMON_DATABASE_VARIABLE, findDatabaseVariable } from './database-variable.js';
import { readIniFile } from './read-ini-file.js';
import { SETTING_OPTIONS } from './ledger-settings.js';
import { readSettings } from './read-settings.js';
import type { NamedText, ReadSettings } from './read-settings.js';
import { codeLayer, mergeLayers, withDefaults } from './settings-layer.js';
import type { PlacedFault } from './settings-layer.js';
import { findStreamVariable } from './stream-variable.js';
import { NOT_SHOWN, showText } from './show-value.js';

/** Sources of `createLedgerConfig`. @publicApi */
export interface LedgerConfigOptions {
  /**
   * Path of an INI file, relative to the working directory; `LEDGER_CONFIG_FILE` takes precedence.
   */
  iniFile?: string;
  /** Options for values that neither environment nor file gives. */
  defaults?: LedgerOptions;
  /** True: unknown `LEDGER_…ASYNC_…` names are a fault instead of a warning. Default: false. */
  strict?: boolean;
}

/** `satisfies` keeps the list complete. */
const CONFIG_OPTIONS = Object.keys({
  iniFile: true,
  defaults: true,
  strict: true,
} satisfies Record<keyof LedgerConfigOptions, true>);

type Environment = Readonly<Record<string, string | undefined>>;
const SETTING_NAMES: ReadonlySet<string> = new Set(SETTING_OPTIONS);
const CONFIG_FILE = 'LEDGER_CONFIG_FILE';

/**
 * Reads one ledger's options from all sources, built-in defaults included. Never throws: the origin
 * carries the faults. A setting with an invalid text keeps that text in the options, so it is
 * refused even if the origin is lost.
 *
 * @param name of the ledger
 * @internal
 */
export function readLedgerConfig(
  name: string,
  given: LedgerConfigOptions,
  environment: Environment,
): LedgerOptions {
  const { iniFile, defaults = {}, strict = false } = given;
  const fromEnvironment = readSettings(namedTexts(environment), 'environment', name);
  const fromFile = readFile(iniFile, environment, name);
  const layers = [fromEnvironment.layer, fromFile.layer, codeLayer(defaults)];
  const values = withDefaults(mergeLayers(layers), defaults);
  const database = readDatabase(environment, name, defaults);
  const origin: ConfigOrigin = {
    ledger: name,
    layers,
    values,
    faults: [
      ...fromEnvironment.faults,
      ...fromFile.faults,
      ...database.faults,
      ...unknownOptions(given),
    ],
    unknown: [...fromEnvironment.unknown, ...fromFile.unknown],
    strict,
    database: database.database,
    commonDatabase: database.commonDatabase,
    stream: findStreamVariable(environment, name),
  };
  return {
    ...withoutSettings(defaults),
    ...Object.fromEntries([...values].map(([option, { value }]) => [option, value])),
    ...(database.database && { connection: database.database.connection }),
    [LEDGER_CONFIG_ORIGIN]: origin,
  } as LedgerOptions;
}

/** A higher source may switch off what the defaults name, so their settings do not stand by themselves. */
function withoutSettings(defaults: LedgerOptions): LedgerOptions {
  const isOther = ([name]: [string, unknown]): boolean => !SETTING_NAMES.has(name);
  return Object.fromEntries(Object.entries(defaults).filter(isOther));
}

/** From callers without types, and from code for an older version that took a name. */
function unknownOptions(given: LedgerConfigOptions): PlacedFault[] {
  return Object.keys(given)
    .filter((option) => !CONFIG_OPTIONS.includes(option))
    .map((name) => ({
      fault: {
        name,
        value: NOT_SHOWN,
        rule:
          `is not an option of createLedgerConfig(definition, { ${CONFIG_OPTIONS.join(', ')} }); ` +
          'the definition names the ledger',
        source: 'code',
      },
    }));
}

function namedTexts(environment: Environment): NamedText[] {
  return Object.entries(environment).flatMap(([name, text]) =>
    text === undefined ? [] : [{ name, text }],
  );
}

function readFile(
  iniFile: string | undefined,
  environment: Environment,
  ledger: string,
): ReadSettings {
  const fromEnvironment = environment[CONFIG_FILE];
  const path = fromEnvironment ?? iniFile;
  if (path === undefined) return readSettings([], 'file', ledger);
  try {
    return readSettings(readIniFile(path), 'file', ledger);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'not a path';
    const fault: OptionsFault = {
      name: fromEnvironment === undefined ? 'iniFile' : CONFIG_FILE,
      value: showText(String(path)),
      rule: `must be an INI file that can be read (${code})`,
      source: fromEnvironment === undefined ? 'code' : 'environment',
    };
    return { ...readSettings([], 'file', ledger), faults: [{ fault }] };
  }
}

function readDatabase(
  environment: Environment,
  ledger: string,
  defaults: LedgerOptions,
): Pick<ConfigOrigin, 'database' | 'commonDatabase'> & { faults: readonly PlacedFault[] } {
  const found = findDatabaseVariable(environment, ledger);
  if (found === undefined) return { faults: [] };
  if (found.name === COMMON_DATABASE_VARIABLE) return { commonDatabase: found, faults: [] };
  const { name, url } = found;
  const rule = brokenUrlRule(url);
  if (rule === undefined) {
    // Options that a URL can't express (TLS files, pool options) may come from code; the URL takes
    // precedence.
    const { connection, setAside } = besideUrl(defaults.connection ?? {}, url);
    return { database: { name, connection, setAside }, faults: [] };
  }
  return { faults: [{ fault: { name, value: NOT_SHOWN, rule, source: 'environment' } }] };
}
