import { connectionSchema } from '../postgres/connection-schema.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { DataSource } from 'typeorm';
import { CONNECT_TIMEOUT_MS } from '../postgres/connection-defaults.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { columnName, rowColumns } from '../entry/columns.js';
import { type ColumnType, type IdType } from '../entry/ledger-definition.js';
import { loadCatalog } from '../postgres/load-catalog.js';
import { tableNames, type TableNames } from '../postgres/table-names.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { CommandError } from './command.error.js';
import { databaseUrlOf } from './database-url.js';

/** Column types by the name that PostgreSQL prints. */
const TYPES: Readonly<Record<string, ColumnType>> = {
  text: 'text',
  bigint: 'bigint',
  integer: 'integer',
  numeric: 'numeric',
  boolean: 'boolean',
  uuid: 'uuid',
  'timestamp with time zone': 'timestamptz',
  jsonb: 'jsonb',
};

/** Which table of which database a command looks at. @internal */
export interface TableOptions {
  readonly databaseUrl?: string;
  readonly schema?: string;
  readonly table: string;
}

/**
 * A ledger's table as it is in the database, so that a command needs no definition.
 *
 * @internal
 */
export class CommandDatabase {
  readonly names: TableNames;
  readonly #table: string;
  readonly #columns: ReadonlyMap<string, string>;

  private constructor(
    readonly dataSource: DataSource,
    table: string,
    names: TableNames,
    columns: ReadonlyMap<string, string>,
  ) {
    this.names = names;
    this.#table = table;
    this.#columns = columns;
  }

  /** @throws CommandError if the server can't be reached, has no such table, or hides its schema */
  static async open(options: TableOptions): Promise<CommandDatabase> {
    const { schema, table } = options;
    const dataSource = new DataSource({
      type: 'postgres',
      url: databaseUrlOf(options),
      applicationName: 'nestjs-ledger command',
      connectTimeoutMS: CONNECT_TIMEOUT_MS,
      poolSize: 3,
      installExtensions: false,
      ...(schema === undefined ? {} : { schema }),
    });
    try {
      await dataSource.initialize();
    } catch (error) {
      throw new CommandError(`the database can't be reached: ${readPgError(error).text}`);
    }
    try {
      return await CommandDatabase.#find(dataSource, table);
    } catch (error) {
      await dataSource.destroy();
      throw error;
    }
  }

  static async #find(dataSource: DataSource, table: string): Promise<CommandDatabase> {
    const definition = { name: 'default', schema: undefined, table, ids: 'text', columns: {} };
    const names = tableNames(definition as LedgerTable, connectionSchema(dataSource));
    const catalog = await loadCatalog(
      (sql, values) => dataSource.query<unknown>(sql, values),
      [names.entries],
      names.schema,
    );
    const { sqlEntries, schema } = names;
    const columns = new Map(catalog.tables[0]?.columns.map(({ name, type }) => [name, type]));
    const missing = rowColumns(definition as LedgerTable).filter((name) => !columns.has(name));
    if (missing.length > 0) {
      const what =
        columns.size === 0
          ? `there is no table ${sqlEntries}`
          : `${sqlEntries} lacks ${missing.join(', ')}`;
      throw new CommandError(`${what}: give --schema and --table`);
    }
    if (schema !== undefined && !catalog.mayUseSchema) {
      const name = quoteIdentifier(schema);
      throw new CommandError(
        `the role may not use schema ${name}: ` +
          `GRANT USAGE ON SCHEMA ${name} TO ${quoteIdentifier(catalog.role)}`,
      );
    }
    return new CommandDatabase(dataSource, table, names, columns);
  }

  /**
   * The definition that these entries were recorded by, as far as it matters to write them.
   *
   * @param fields of the entries, built-in ones among them; those without a column are left out
   */
  definitionFor(fields: Iterable<string>): LedgerTable {
    const plain = { name: 'default', schema: undefined, table: this.#table };
    const ids = this.#columns.get('user_id') as IdType;
    const own = rowColumns({ ...plain, ids, columns: {} });
    const columns: Record<string, ColumnType> = {};
    for (const field of [...fields].sort()) {
      const name = columnName(field);
      const type = TYPES[this.#columns.get(name) ?? ''];
      if (type !== undefined && !own.includes(name) && name !== 'written_at') columns[field] = type;
    }
    return { ...plain, schema: connectionSchema(this.dataSource), ids, columns };
  }

  close(): Promise<void> {
    return this.dataSource.destroy();
  }
}
