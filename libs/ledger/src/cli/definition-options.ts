import { connectionSchema } from '../postgres/connection-schema.js';
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { DataSource } from 'typeorm';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import type {
  ColumnType,
  DeclaredColumns,
  IdType,
  PartitionPeriod,
} from '../entry/ledger-definition.js';
import { loadCatalog } from '../postgres/load-catalog.js';
import { tableNames } from '../postgres/table-names.js';
import type { TableOptions } from './command-database.js';

/** A table and its definition, as a command is told of them. @internal */
export interface TableDefinitionOptions extends TableOptions {
  /** Undefined: as the table has it, else bigint. */
  readonly ids?: IdType;
  /** Declared columns by entry field. */
  readonly column?: DeclaredColumns;
  readonly partition?: PartitionPeriod;
  /**
   * False: no rollups. Declared columns, with commas, that they tell apart beside the built-in
   * dimensions; true or undefined: those alone.
   */
  readonly rollup?: boolean | string;
  readonly immutable?: boolean;
}

const ID_TYPES: readonly IdType[] = ['bigint', 'uuid', 'text'];

/** Adds the options that make a definition, those of the table apart. @internal */
export function addDefinitionOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--ids <type>',
        'type of userId, apiKeyId and serviceId (default: what the table has, else bigint)',
      ).choices(ID_TYPES),
    )
    .option('--column <field:type>', 'a declared column; may be given again', collectColumn)
    .addOption(new Option('--partition <period>', 'a partitioned table').choices(['day', 'month']))
    .option('--rollup [fields]', 'sums kept ready, by these declared columns too: model,region')
    .option('--no-rollup', 'no sums kept ready: summary() adds up the rows')
    .option('--immutable', 'a table that refuses UPDATE, DELETE and TRUNCATE');
}

/**
 * @param dataSource of a table that tells the type of ids, if it was not given
 * @throws LedgerDefinitionError with all faults
 * @internal
 */
export async function definitionOf(
  { schema, table, ids, column, partition, rollup, immutable }: TableDefinitionOptions,
  dataSource?: DataSource,
): Promise<LedgerDefinition> {
  const define = (type: IdType): LedgerDefinition =>
    defineLedger<IdType, DeclaredColumns>({
      schema,
      table,
      ids: type,
      columns: column,
      partition,
      immutable,
      rollup: rollup !== false && {
        dimensions: typeof rollup === 'string' ? rollup.split(',') : [],
      },
    });
  if (ids !== undefined || dataSource === undefined) return define(ids ?? 'bigint');
  const names = tableNames(define('bigint'), connectionSchema(dataSource));
  const { tables } = await loadCatalog(
    (sql, values) => dataSource.query<unknown>(sql, values),
    [names.entries],
    names.schema,
  );
  const found = tables[0]?.columns.find(({ name }) => name === 'user_id');
  return define(ID_TYPES.find((type) => type === found?.type) ?? 'bigint');
}

function collectColumn(text: string, before: DeclaredColumns = {}): DeclaredColumns {
  const [field, type, ...rest] = text.split(':');
  if (!field || !type || rest.length > 0) {
    throw new InvalidArgumentError('must be field:type, like costNanos:bigint');
  }
  // Field and type are checked with the rest of the definition.
  return { ...before, [field]: type as ColumnType };
}
