import { Deadline } from '../clock/deadline.js';
import { open } from '../postgres/open.js';
import { rowColumns } from '../entry/columns.js';
import { ledgerCommand, nameDefinition } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { verifyTable, type VerifyOptions } from '../migrations/verify-table.js';
import { loadCatalog, type QueryFunction } from '../postgres/load-catalog.js';
import { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import type { TableFault } from '../postgres/table-fault.interface.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { tableNames, type TableNames } from '../postgres/table-names.js';
import { describeTarget } from '../postgres/describe-target.js';
import { ConnectError } from '../postgres/connect-error.js';
import { CommandError } from './command.error.js';
import { databaseUrlOf } from './database-url.js';
import { remedyInOtherSchema } from './find-other-schemas.js';
import type { LedgerCommandOptions } from './ledger-options.js';

const WITHOUT_DEFINITION = 'give the definition of another ledger with -d <module>';

type DatabaseOptions = Pick<
  LedgerCommandOptions,
  'databaseUrl' | 'connectionSchema' | 'definition' | 'ledger'
>;

/** A ledger's database, and its table there. @internal */
export class CommandDatabase {
  readonly names: TableNames;

  private constructor(
    readonly connections: PgConnections,
    readonly definition: LedgerTable,
    private readonly options: DatabaseOptions,
    /** Host, database and user, for messages. */
    readonly target: string,
  ) {
    this.names = tableNames(definition, options.connectionSchema);
  }

  /** @throws CommandError if the server can't be reached, has no such table, or hides its schema */
  static async open(definition: LedgerTable, options: DatabaseOptions): Promise<CommandDatabase> {
    const url = databaseUrlOf(options, definition);
    const dataSource = open(
      { url, schema: options.connectionSchema, installExtensions: false },
      { applicationName: 'nestjs-ledger command', poolSize: 3 },
    );
    const target = describeTarget({ url });
    const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
    try {
      await connections.ready();
    } catch (error) {
      throw new CommandError(unreachable(error, target));
    }
    const database = new CommandDatabase(connections, definition, options, target);
    try {
      await database.#findTable();
      return database;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** Lends a connection without a time limit, because a person can interrupt a command. */
  use<T>(work: (session: PgSession) => Promise<T>): Promise<T> {
    return this.connections.use(new Deadline(Number.POSITIVE_INFINITY), work);
  }

  /** One statement on its own connection. */
  readonly query: QueryFunction = (sql, values) => this.use((session) => session.rows(sql, values));

  /** Compares the tables with the definition. */
  async verify(options: Pick<VerifyOptions, 'deadLetters' | 'extensions'>): Promise<TableFault[]> {
    const { connectionSchema } = this.options;
    const faults = await verifyTable(this.query, this.definition, { ...options, connectionSchema });
    return faults.map((fault) => ({
      ...fault,
      remedy: nameDefinition(fault.remedy, this.options),
    }));
  }

  async #findTable(): Promise<void> {
    const { entries, schema, sqlEntries } = this.names;
    const catalog = await loadCatalog(this.query, [entries], schema);
    const columns = new Set(catalog.tables[0]?.columns.map(({ name }) => name));
    // Declared ones may be added later, and only `replay` writes them.
    const needed = rowColumns({ ...this.definition, columns: {} });
    const missing = needed.filter((name) => !columns.has(name));
    if (missing.length > 0) {
      const migrate = this.command('migrate');
      const elsewhere =
        columns.size === 0 ? await remedyInOtherSchema(this.query, this.names, migrate) : undefined;
      const what =
        columns.size === 0
          ? `there is no table ${sqlEntries}`
          : `${sqlEntries} lacks ${missing.join(', ')}`;
      const remedy = elsewhere ?? `run \`${migrate}\`, or ${WITHOUT_DEFINITION}`;
      throw new CommandError(`${what}: ${remedy}; asked: ${this.target}`);
    }
    if (schema !== undefined && !catalog.mayUseSchema) {
      const name = quoteIdentifier(schema);
      throw new CommandError(
        `the role may not use schema ${name}: ` +
          `GRANT USAGE ON SCHEMA ${name} TO ${quoteIdentifier(catalog.role)}; asked: ${this.target}`,
      );
    }
  }

  /**
   * For commands that write entries.
   *
   * @throws CommandError if a column of the definition is missing or differs
   */
  async checkColumns(): Promise<void> {
    const faults = await this.verify({ deadLetters: false, extensions: [] });
    const found = faults.filter(({ kind }) => kind === 'missing' || kind === 'different');
    if (found.length === 0) return;
    const text = found.map(({ problem, remedy }) => `${problem} (${remedy})`).join('; ');
    throw new CommandError(
      `the table does not match the definition, or belongs to another ledger: ${text}; or ${WITHOUT_DEFINITION}; asked: ${this.target}`,
    );
  }

  /** Another command for the same ledger, for messages. */
  command(command: string): string {
    const { connectionSchema } = this.options;
    return nameDefinition(ledgerCommand(command, this.definition, connectionSchema), this.options);
  }

  close(): Promise<void> {
    return this.connections.close();
  }
}

/** The text of a refused connection already names the target. @internal */
export function unreachable(error: unknown, target: string): string {
  const { text } = readPgError(error);
  const isNamed = error instanceof ConnectError;
  return `the database can't be reached: ${text}${isNamed ? '' : ` (${target})`}`;
}
