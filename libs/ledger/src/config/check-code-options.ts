import type { OptionsFault } from '../errors/ledger-options.error.js';
import { givenTwice } from './beside-url.js';
import { brokenUrlRule } from './broken-url-rule.js';
import { originOf } from './config-origin.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import { SETTING_OPTIONS } from './ledger-settings.js';
import type { SettingOption } from './ledger-settings.js';
import { nearestName } from './nearest-name.js';
import { NOT_SHOWN, showValue } from './show-value.js';

type CodeOption = Exclude<keyof LedgerOptions, SettingOption>;
interface CodeRule {
  readonly rule: string;
  readonly isKept: (value: unknown) => boolean;
}

const isBoolean: CodeRule = {
  rule: 'must be true or false',
  isKept: (value) => typeof value === 'boolean',
};
const isFunction: CodeRule = {
  rule: 'must be a function',
  isKept: (value) => typeof value === 'function',
};

const RULES: Readonly<Record<CodeOption, CodeRule>> = {
  connection: {
    rule: "must be an object with TypeORM's PostgreSQL options",
    isKept: (value) => isObject(value) && isPostgres(value['type']),
  },
  dataSource: {
    rule: 'must be a TypeORM DataSource for PostgreSQL',
    isKept: (value) =>
      isObject(value) &&
      typeof value['createQueryRunner'] === 'function' &&
      isObject(value['options']) &&
      value['options']['type'] === 'postgres',
  },
  sink: {
    rule: 'must be an object with the methods of a LedgerSink: prepare, write, find, ping, close',
    isKept: (value) => hasMethods(value, ['prepare', 'write', 'find', 'ping', 'close']),
  },
  stream: {
    rule: 'must be an object with the methods of a LedgerStream, as jetStream() makes it',
    isKept: (value) => hasMethods(value, ['open', 'publish', 'take', 'backlog', 'ping', 'close']),
  },
  reader: {
    rule: 'must be an object with the methods of a UsageReading: summary, listRecent, report, find',
    isKept: (value) => hasMethods(value, ['summary', 'listRecent', 'report', 'find']),
  },
  migrations: oneOf('run', 'verify', 'off'),
  connectAtBoot: isBoolean,
  closeIdleConnections: isBoolean,
  onInvalid: oneOf('count', 'throw'),
  retention: {
    rule: 'must be { keep, onRetire? }: periods to keep, 1 to 10,000, and a function',
    isKept: (value) => isObject(value) && isRetention(value),
  },
  onLoss: isFunction,
  onState: isFunction,
};
const KNOWN: readonly string[] = [...SETTING_OPTIONS, ...Object.keys(RULES)];

/**
 * Finds the faults of options that only code can give, and unknown names. An unknown name is a
 * fault and not a warning: a rollback changes code and library together, so the boot need not be
 * saved, and a misspelled option would silently have its default.
 *
 * @internal
 */
export function checkCodeOptions(options: LedgerOptions): OptionsFault[] {
  const faults = (Object.keys(RULES) as CodeOption[]).flatMap((name): OptionsFault[] => {
    const value: unknown = options[name];
    if (value === undefined || RULES[name].isKept(value)) return [];
    return [{ name, value: showValue(value), rule: RULES[name].rule, source: 'code' }];
  });
  return [
    ...faults,
    ...brokenUrl(options),
    ...twice(options),
    ...twoDatabases(options),
    ...unknownOptions(options),
  ];
}

/** An address from the environment was checked when it was read. */
function brokenUrl({ connection }: LedgerOptions): OptionsFault[] {
  const url: unknown = isObject(connection) ? connection.url : undefined;
  const rule = typeof url === 'string' && url !== '' ? brokenUrlRule(url) : undefined;
  if (rule === undefined) return [];
  return [{ name: 'connection.url', value: NOT_SHOWN, rule, source: 'code' }];
}

/** Options that the environment's URL contains have been removed. */
function twice(options: LedgerOptions): OptionsFault[] {
  const { connection } = options;
  if (!isObject(connection) || originOf(options)?.database?.connection === connection) return [];
  return givenTwice(connection);
}

function twoDatabases(options: LedgerOptions): OptionsFault[] {
  if (options.connection === undefined || options.dataSource === undefined) return [];
  const database = originOf(options)?.database;
  const isFromUrl = database !== undefined && database.connection === options.connection;
  return [
    {
      name: isFromUrl ? database.name : 'connection',
      value: NOT_SHOWN,
      rule: 'is given together with dataSource; give one of them',
      source: isFromUrl ? 'environment' : 'code',
    },
  ];
}

function unknownOptions(options: LedgerOptions): OptionsFault[] {
  return Object.keys(options)
    .filter((name) => !KNOWN.includes(name))
    .map((name) => ({
      name,
      value: NOT_SHOWN,
      rule: `is not an option; did you mean ${nearestName(name, KNOWN)}?`,
      source: 'code',
    }));
}

function oneOf(...choices: string[]): CodeRule {
  return {
    rule: `must be one of ${choices.join(', ')}`,
    isKept: (value) => typeof value === 'string' && choices.includes(value),
  };
}

function isRetention({ keep, onRetire, ...rest }: Record<string, unknown>): boolean {
  if (Object.keys(rest).length > 0) return false;
  if (onRetire !== undefined && typeof onRetire !== 'function') return false;
  return Number.isInteger(keep) && (keep as number) >= 1 && (keep as number) <= 10_000;
}

function isPostgres(type: unknown): boolean {
  return type === undefined || type === 'postgres';
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return isObject(value) && names.every((name) => typeof value[name] === 'function');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
