import { Inject, type InjectionToken } from '@nestjs/common';
import type { LedgerTable } from './entry/ledger-definition.js';
import { LedgerHealthIndicator } from './health/ledger-health.indicator.js';
import { LedgerService } from './ledger.service.js';

/** What of a definition tells ledgers of one application apart. @inline */
export type NamedLedger = Pick<LedgerTable, 'name'>;

/**
 * The token that a ledger's `LedgerService` is provided by: the class itself for the default
 * ledger, a symbol of the ledger's name for another. Equal for definitions of equal name, also
 * across two copies of the package (for named ledgers, whose tokens are in the global registry).
 *
 * @param definition default: the default ledger
 * @publicApi
 */
export function getLedgerToken(definition?: NamedLedger): typeof LedgerService | symbol {
  return isDefault(definition) ? LedgerService : Symbol.for(`ledger:${definition.name}`);
}

/**
 * The token that a ledger's `LedgerHealthIndicator` is provided by: the class itself for the
 * default ledger, a symbol of the ledger's name for another.
 *
 * @param definition default: the default ledger
 * @publicApi
 */
export function getLedgerHealthToken(
  definition?: NamedLedger,
): typeof LedgerHealthIndicator | symbol {
  return isDefault(definition)
    ? LedgerHealthIndicator
    : Symbol.for(`ledger-health:${definition.name}`);
}

/**
 * Injects the `LedgerService` of a definition into a constructor parameter or a property.
 *
 * @param definition default: the default ledger, which is injected by its class alone as well
 * @publicApi
 */
export function InjectLedger(definition?: NamedLedger): PropertyDecorator & ParameterDecorator {
  return Inject(getLedgerToken(definition) as InjectionToken);
}

function isDefault(definition: NamedLedger | undefined): definition is undefined {
  return definition === undefined || definition.name === 'default';
}
