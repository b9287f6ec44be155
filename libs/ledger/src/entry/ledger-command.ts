import { DEFAULT_TABLE, isSameDefinition } from './compare-definitions.js';
import type { LedgerTable } from './ledger-definition.js';

/** What a shell takes as it is. */
const PLAIN = /^[\w.,:/-]+$/;

/**
 * A command of this package for one ledger, as a log line or an error names it. The path of the
 * module that exports the definition is the reader's to fill in: nobody knows it at run time.
 *
 * @param command like `rollup --rebuild`
 * @param connectionSchema the `schema` of the TypeORM options; counts if the definition has none, or
 *   was placed there
 * @internal
 */
export function ledgerCommand(
  command: string,
  definition: LedgerTable,
  connectionSchema?: string,
): string {
  const { name } = definition;
  // One that was placed in the connection's schema is still the one that the application has.
  const schema = definition.schema === connectionSchema ? undefined : definition.schema;
  const isDefault = isSameDefinition({ ...definition, schema }, DEFAULT_TABLE);
  const of = name === DEFAULT_TABLE.name ? '' : ` of ${name}`;
  const place = schema === undefined ? connectionSchema : undefined;
  return [
    `npx nestjs-ledger ${command}`,
    ...(isDefault ? [] : [`-d <file with the definition${of}>`]),
    ...(place === undefined ? [] : [`--connection-schema ${quoteForShell(place)}`]),
  ].join(' ');
}

/** `migrate` for one ledger. @internal */
export function migrateCommand(definition: LedgerTable, connectionSchema?: string): string {
  return ledgerCommand('migrate', definition, connectionSchema);
}

/** @returns the name as a shell takes it for one word @internal */
export function quoteForShell(name: string): string {
  return PLAIN.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}
