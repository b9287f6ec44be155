import type { OptionsFault } from '../errors/ledger-options.error.js';
import { originOf } from './config-origin.js';
import type { LedgerOptions, ResolvedLedgerOptions } from './ledger-options.interface.js';
import type { SettingOption } from './ledger-settings.js';
import type { SourcedValue } from './settings-layer.js';
import { NOT_SHOWN, showValue } from './show-value.js';

/**
 * Finds options that contradict a stream: a gateway has no database, a writer accepts no entries,
 * and neither has another destination for batches.
 *
 * @param inForce all settings, defaults included
 * @internal
 */
export function checkStreamOptions(
  options: LedgerOptions,
  inForce: ReadonlyMap<SettingOption, SourcedValue>,
): OptionsFault[] {
  const { stream, sink } = options;
  const role = inForce.get('role');
  const faults: OptionsFault[] = [];
  if (stream !== undefined && role?.value !== 'gateway' && role?.value !== 'writer') {
    faults.push(
      roleFault(
        role,
        'must be gateway or writer with a stream, because an entry that the same process publishes ' +
          'and writes gains nothing from the stream: set role, or leave out stream to write to ' +
          'PostgreSQL directly, with journalDir if entries must survive this process',
      ),
    );
  }
  if (stream !== undefined && sink !== undefined) {
    faults.push(fault('sink', 'an object', 'is given together with stream; give one of them'));
  }
  if (role?.value === 'gateway') faults.push(...gatewayFaults(options, inForce));
  if (role?.value === 'writer') faults.push(...writerFaults(inForce));
  return faults;
}

/**
 * Finds the faults of a role once all options are known; a configuration may be read before the
 * stream is added.
 *
 * @internal
 */
export function checkRole({ role, stream, settings }: ResolvedLedgerOptions): OptionsFault[] {
  if (role === 'both' || stream !== undefined) return [];
  const { source } = settings['role']!;
  const rule = 'needs a stream: give the option stream';
  return [{ name: 'role', value: role, rule, source }];
}

function roleFault(role: SourcedValue | undefined, rule: string): OptionsFault {
  const { name = 'role', shown: value = 'both', source = 'default' } = role ?? {};
  return { name, value, rule, source };
}

function gatewayFaults(
  options: LedgerOptions,
  inForce: ReadonlyMap<SettingOption, SourcedValue>,
): OptionsFault[] {
  const faults: OptionsFault[] = [];
  const { connection, dataSource, migrations, retention } = options;
  const rule = 'is given to a gateway, which writes to the stream only; give it to the writers';
  const database = originOf(options)?.database;
  if (database !== undefined && database.connection === connection) {
    faults.push({ name: database.name, value: NOT_SHOWN, rule, source: 'environment' });
  } else if (connection !== undefined) faults.push(fault('connection', NOT_SHOWN, rule));
  if (dataSource !== undefined) faults.push(fault('dataSource', NOT_SHOWN, rule));
  if (retention !== undefined) faults.push(fault('retention', showValue(retention), rule));
  if (migrations !== undefined && migrations !== 'off') {
    faults.push(fault('migrations', migrations, rule));
  }
  const deadLetters = inForce.get('deadLetters');
  if (deadLetters?.value === 'table') {
    const { name, shown: value, source } = deadLetters;
    faults.push({ name, value, rule: 'a gateway has no table; set it to file', source });
  }
  return faults;
}

function writerFaults(inForce: ReadonlyMap<SettingOption, SourcedValue>): OptionsFault[] {
  const journal = inForce.get('journalDir');
  if (journal === undefined) return [];
  const { name, shown: value, source } = journal;
  const rule = 'is given to a writer, which accepts no entries; give it to the gateways';
  return [{ name, value, rule, source }];
}

function fault(name: string, value: string, rule: string): OptionsFault {
  return { name, value, rule, source: 'code' };
}
