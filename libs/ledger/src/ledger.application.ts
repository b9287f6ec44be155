import type { ModulesContainer } from '@nestjs/core';
import { originOf } from './config/config-origin.js';
import { notTheLedger } from './config/configured-ledger.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { FindDataSource, LedgerDatabase } from './ledger.database.js';
import { getLedgerToken } from './ledger.tokens.js';

/** The facts about one ledger that the application's other ledgers need. @internal */
export interface ApplicationLedger {
  readonly ledger: {
    readonly table: LedgerTable;
    readonly options: Pick<ResolvedLedgerOptions, 'stream'>;
  };
  /** Undefined: the ledger writes to the application's own sink. */
  readonly database: LedgerDatabase | undefined;
}

/**
 * Two definitions on one table would each count the entries of the other.
 *
 * @param all ledgers of the application
 * @throws LedgerOptionsError unless both say `shared: true`
 * @internal
 */
export function checkTables(
  own: ApplicationLedger,
  all: readonly ApplicationLedger[],
  find: FindDataSource,
): void {
  const { name, table, shared } = own.ledger.table;
  const path = pathOf(own, find);
  if (path === undefined) return;
  const other = all.find(({ ledger, database }) => {
    if (ledger.table.name === name || (shared && ledger.table.shared)) return false;
    return pathOf({ ledger, database }, find) === path;
  });
  if (other === undefined) return;
  throw notTheLedger(
    name,
    `has the table ${table}, which ledger ${other.ledger.table.name} has too, so each would count the ` +
      'entries of the other: give one another `table` or `schema`, or `shared: true` to both',
  );
}

/** Undefined: there is no database, or none yet. */
function pathOf({ ledger, database }: ApplicationLedger, find: FindDataSource): string | undefined {
  const { schema, table } = ledger.table;
  const place = database?.placeOf(schema, find);
  return place === undefined ? undefined : JSON.stringify([place, table]);
}

/**
 * A stream is opened for one ledger: the entries of a second would go to the writers of the first.
 *
 * @param all ledgers of the application
 * @throws LedgerOptionsError if another one has the same stream
 * @internal
 */
export function checkStreams(
  { ledger: { table, options } }: ApplicationLedger,
  all: readonly ApplicationLedger[],
): void {
  const { stream } = options;
  if (stream === undefined) return;
  const other = all.find(({ ledger }) => {
    return ledger.table.name !== table.name && ledger.options.stream === stream;
  });
  if (other === undefined) return;
  throw notTheLedger(
    table.name,
    `has the stream of ledger ${other.ledger.table.name}, whose writers would take its entries: make a ` +
      'stream for each ledger',
  );
}

/**
 * Without this check, the settings of a configuration without a ledger would be ignored silently.
 *
 * @param modules of the application
 * @throws LedgerOptionsError that names it
 * @internal
 */
export function checkConfigurations(modules: ModulesContainer): void {
  const all = [...modules.values()];
  const configured = all.flatMap(({ providers }) =>
    [...providers].flatMap(([token, { instance }]) => {
      const isConfiguration = typeof token === 'string' && token.startsWith('CONFIGURATION(');
      if (!isConfiguration || typeof instance !== 'object' || instance === null) return [];
      return originOf(instance)?.ledger ?? [];
    }),
  );
  const stray = configured.find((name) => {
    const token = getLedgerToken({ name });
    return !all.some(({ providers }) => providers.has(token));
  });
  if (stray === undefined) return;
  throw notTheLedger(
    stray,
    'has a configuration, but no module imports it: import LedgerModule for it, or remove the ' +
      'configuration from ConfigModule',
  );
}
