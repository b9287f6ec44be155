import { Inject, type InjectionToken } from '@nestjs/common';
import type { LedgerTable } from './entry/ledger-definition.js';
import { LedgerHealthIndicator } from './health/ledger-health.indicator.js';
import { LedgerService } from './ledger.service.js';

/** The part of a definition that identifies a ledger within an application. @inline */
export type NamedLedger = Pick<LedgerTable, 'name'>;

/**
 * Injection token of a ledger's `LedgerService`: the class for the default ledger, a symbol with
 * the ledger's name for any other. Definitions of equal name have equal tokens. For named ledgers
 * that holds across copies of the package, because symbols are in the global registry.
 *
 * @param definition default: the default ledger
 * @publicApi
 */
export function getLedgerToken(definition?: NamedLedger): typeof LedgerService | symbol {
  return isDefault(definition) ? LedgerService : Symbol.for(`ledger:${definition.name}`);
}

/**
 * Injection token of a ledger's `LedgerHealthIndicator`: the class for the default ledger, a symbol
 * with the ledger's name for any other.
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
