import { isSameDefinition } from '../entry/compare-definitions.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { LedgerOptionsError } from '../errors/ledger-options.error.js';
import { originOf } from './config-origin.js';
import type { LedgerOptions } from './ledger-options.interface.js';

/**
 * Key under which `asProvider()` of a configuration carries the ledger's definition to
 * `LedgerModule.forRootAsync`. Not `ledger`: of two definitions in `{ ledger, ...asProvider() }` the
 * first would be overwritten unseen. An enumerable property, so that a spread keeps it. In the global
 * registry, so that two copies of the package understand each other.
 *
 * @internal
 */
export const CONFIGURED_LEDGER = Symbol.for('nestjs-ledger/configured-ledger');

/** The definition that the options of `forRootAsync` carry, if they come from `asProvider()`. @internal */
export function configuredLedgerOf<T extends LedgerTable>(options: object): T | undefined {
  return (options as { [CONFIGURED_LEDGER]?: T })[CONFIGURED_LEDGER];
}

/**
 * Refuses the configuration of another ledger, whose settings would silently apply to this one.
 *
 * @param configured the definition that `asProvider()` carried
 * @throws LedgerOptionsError that names both
 * @internal
 */
export function checkConfiguredLedger(
  definition: LedgerTable,
  configured: LedgerTable | undefined,
  options: LedgerOptions,
): void {
  const { name } = definition;
  const configuredName = configured?.name ?? originOf(options)?.ledger ?? name;
  if (configuredName !== name) {
    throw notTheLedger(
      name,
      `is not the ledger of the configuration, which is ${configuredName}: make the configuration ` +
        'with createLedgerConfig(definition), and leave out `ledger` in forRootAsync',
    );
  }
  if (configured === undefined || isSameDefinition(definition, configured)) return;
  throw notTheLedger(
    name,
    `has two definitions that differ, \`ledger\` in forRootAsync and that of createLedgerConfig(` +
      `${name}): give one of them`,
  );
}

/** @internal */
export function notTheLedger(name: string, rule: string): LedgerOptionsError {
  return new LedgerOptionsError([{ name: 'ledger', value: name, rule, source: 'code' }]);
}
