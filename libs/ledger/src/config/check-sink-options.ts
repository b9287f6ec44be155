import type { OptionsFault } from '../errors/ledger-options.error.js';
import { originOf } from './config-origin.js';
import type { LedgerOptions } from './ledger-options.interface.js';
import type { SettingOption } from './ledger-settings.js';
import type { SourcedValue } from './settings-layer.js';
import { NOT_SHOWN, showValue } from './show-value.js';

const NEEDS_POSTGRES = 'needs PostgreSQL, but this ledger writes to its own sink';

/**
 * Finds options that contradict the application's own sink. The sink replaces PostgreSQL, so
 * options that need PostgreSQL are refused by name.
 *
 * @param inForce all settings, defaults included
 * @internal
 */
export function checkSinkOptions(
  options: LedgerOptions,
  inForce: ReadonlyMap<SettingOption, SourcedValue>,
): OptionsFault[] {
  const { sink, reader } = options;
  const isGateway = inForce.get('role')?.value === 'gateway';
  if (sink === undefined) {
    if (reader === undefined || isGateway) return [];
    return [
      fault('reader', 'an object', 'is given without sink; PostgreSQL is read back without it'),
    ];
  }
  return [
    ...twoStores(options),
    ...onlyInPostgres(options),
    ...deadLettersInTable(inForce.get('deadLetters')),
  ];
}

function twoStores(options: LedgerOptions): OptionsFault[] {
  const faults: OptionsFault[] = [];
  const rule = 'is given together with sink; give one of them';
  const database = originOf(options)?.database;
  if (database !== undefined && database.connection === options.connection) {
    const { name } = database;
    const hint = 'set LEDGER_<NAME>_DATABASE_URL if it is meant for another ledger';
    faults.push({ name, value: NOT_SHOWN, rule: `${rule} (${hint})`, source: 'environment' });
  } else if (options.connection !== undefined) {
    faults.push(fault('connection', NOT_SHOWN, rule));
  }
  if (options.dataSource !== undefined) faults.push(fault('dataSource', NOT_SHOWN, rule));
  return faults;
}

function onlyInPostgres({ migrations, retention }: LedgerOptions): OptionsFault[] {
  const faults: OptionsFault[] = [];
  if (migrations !== undefined && migrations !== 'off') {
    faults.push(fault('migrations', showValue(migrations), NEEDS_POSTGRES));
  }
  if (retention !== undefined) {
    faults.push(fault('retention', showValue(retention), NEEDS_POSTGRES));
  }
  return faults;
}

function deadLettersInTable(deadLetters: SourcedValue | undefined): OptionsFault[] {
  if (deadLetters?.value !== 'table') return [];
  const { name, shown: value, source } = deadLetters;
  return [{ name, value, rule: `${NEEDS_POSTGRES}; set it to file`, source }];
}

function fault(name: string, value: string, rule: string): OptionsFault {
  return { name, value, rule, source: 'code' };
}
