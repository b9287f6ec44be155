import type { LedgerTable } from './ledger-definition.js';

/** What commands look at unless they are told. Source: the default of `defineLedger`. */
const DEFAULT_TABLE = 'usage_entries';
/** What a shell takes as it is. */
const PLAIN = /^[\w.,:-]+$/;

/**
 * A command of this package for the table of one ledger, as it is typed into a shell.
 *
 * @param command like `rollup --rebuild`
 * @param connectionSchema the `schema` of the TypeORM options; counts if the definition has none
 * @internal
 */
export function ledgerCommand(
  command: string,
  { schema, table }: Pick<LedgerTable, 'schema' | 'table'>,
  connectionSchema?: string,
): string {
  const place = schema ?? connectionSchema;
  const options = [
    ...(place === undefined ? [] : ['--schema', quote(place)]),
    ...(table === DEFAULT_TABLE ? [] : ['--table', quote(table)]),
  ];
  return ['npx nestjs-ledger', command, ...options].join(' ');
}

/** `migrate` with all options that make this definition; without them it makes another. @internal */
export function migrateCommand(definition: LedgerTable, connectionSchema?: string): string {
  const { ids, columns, partition, rollup, immutable } = definition;
  const dimensions = (rollup || []).join(',');
  const options = [
    ...(ids === 'bigint' ? [] : [`--ids ${ids}`]),
    ...Object.entries(columns).map(([field, type]) => `--column ${field}:${type}`),
    ...(partition === undefined ? [] : [`--partition ${partition}`]),
    ...(immutable ? ['--immutable'] : []),
    ...(rollup ? [] : ['--no-rollup']),
    ...(dimensions === '' ? [] : [`--rollup ${dimensions}`]),
  ];
  return [ledgerCommand('migrate', definition, connectionSchema), ...options].join(' ');
}

function quote(name: string): string {
  return PLAIN.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}
