import { open } from '../postgres/open.js';
import type { DataSource } from 'typeorm';
import { rowColumns } from '../entry/columns.js';
import { migrateCommand } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { verifyTable } from '../migrations/verify-table.js';
import { connectionSchema } from '../postgres/connection-schema.js';
import { loadCatalog } from '../postgres/load-catalog.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { tableNames, type TableNames } from '../postgres/table-names.js';
import { CommandError } from './command.error.js';
import { databaseUrlOf } from './database-url.js';
import type { LedgerCommandOptions } from './ledger-options.js';

const WITHOUT_DEFINITION = 'give the definition of another ledger with -d <module>';

/** A ledger's database, and its table there. @internal */
export class CommandDatabase {
  readonly names: TableNames;

  private constructor(
    readonly dataSource: DataSource,
    readonly definition: LedgerTable,
  ) {
    this.names = tableNames(definition, connectionSchema(dataSource));
  }

  /** @throws CommandError if the server can't be reached, has no such table, or hides its schema */
  static async open(
    definition: LedgerTable,
    options: Pick<LedgerCommandOptions, 'databaseUrl' | 'connectionSchema'>,
  ): Promise<CommandDatabase> {
    const url = databaseUrlOf(options, definition);
    const dataSource = open(
      { url, schema: options.connectionSchema, installExtensions: false },
      { applicationName: 'nestjs-ledger command', poolSize: 3 },
    );
    try {
      await dataSource.initialize();
    } catch (error) {
      throw new CommandError(`the database can't be reached: ${readPgError(error).text}`);
    }
    const database = new CommandDatabase(dataSource, definition);
    try {
      await database.#findTable();
      return database;
    } catch (error) {
      await dataSource.destroy();
      throw error;
    }
  }

  async #findTable(): Promise<void> {
    const { entries, schema, sqlEntries } = this.names;
    const catalog = await loadCatalog(
      (sql, values) => this.dataSource.query<unknown>(sql, values),
      [entries],
      schema,
    );
    const columns = new Set(catalog.tables[0]?.columns.map(({ name }) => name));
    // Declared ones may be added later, and only `replay` writes them.
    const needed = rowColumns({ ...this.definition, columns: {} });
    const missing = needed.filter((name) => !columns.has(name));
    if (missing.length > 0) {
      const what =
        columns.size === 0
          ? `there is no table ${sqlEntries}`
          : `${sqlEntries} lacks ${missing.join(', ')}`;
      const migrate = migrateCommand(this.definition, connectionSchema(this.dataSource));
      throw new CommandError(`${what}: run \`${migrate}\`, or ${WITHOUT_DEFINITION}`);
    }
    if (schema !== undefined && !catalog.mayUseSchema) {
      const name = quoteIdentifier(schema);
      throw new CommandError(
        `the role may not use schema ${name}: ` +
          `GRANT USAGE ON SCHEMA ${name} TO ${quoteIdentifier(catalog.role)}`,
      );
    }
  }

  /**
   * For commands that write entries.
   *
   * @throws CommandError if a column that the definition has is missing, or is another one
   */
  async checkColumns(): Promise<void> {
    const faults = await verifyTable(
      (sql, values) => this.dataSource.query<unknown>(sql, values),
      this.definition,
      { connectionSchema: connectionSchema(this.dataSource), deadLetters: false, extensions: [] },
    );
    const found = faults.filter(({ kind }) => kind === 'missing' || kind === 'different');
    if (found.length === 0) return;
    const text = found.map(({ problem, remedy }) => `${problem} (${remedy})`).join('; ');
    throw new CommandError(
      `the table is not as the definition says, or it is another ledger's: ${text}; or ${WITHOUT_DEFINITION}`,
    );
  }

  close(): Promise<void> {
    return this.dataSource.destroy();
  }
}
