import { createHash } from 'node:crypto';
import { migrateCommand } from './entry/ledger-command.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { LedgerDatabase } from './ledger.database.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import type { SegmentTarget } from './segments/segment-description.js';
import { readGivenFields } from './sink/read-given-fields.js';
import { readIdentity, type TableIdentity } from './sink/read-identity.js';

/** Hex digits of an address's digest: 64 bits. */
const ADDRESS_DIGITS = 16;

/**
 * The table that a ledger on PostgreSQL writes to. Its address is known from the beginning, its id
 * once the server has been reached.
 *
 * @internal
 */
export class LedgerTarget {
  readonly #table: LedgerTable;
  readonly #database: LedgerDatabase;
  #identity: TableIdentity | undefined;
  #given: ReadonlyMap<string, Buffer> = new Map();

  constructor(table: LedgerTable, database: LedgerDatabase) {
    this.#table = table;
    this.#database = database;
  }

  /**
   * Reads the columns' defaults from the table. @throws the error of pg if the server can't be
   * asked
   */
  async readGiven(): Promise<void> {
    this.#given = await readGivenFields(this.#database.connections, this.#table);
  }

  /**
   * Reads the id and the columns' defaults from the table. @throws the error of pg if the server
   * can't be asked
   */
  async read(logger: LedgerLogger): Promise<void> {
    this.#identity = await readIdentity(this.#database.connections, this.#table);
    await this.readGiven();
    if (this.#identity.id !== undefined) return;
    logger.warn(
      'WARNING: the journal identifies this table by its address only, and does not replay journals of other ' +
        `addresses: run \`${migrateCommand(this.#table)}\`, and GRANT SELECT on ${this.#table.table}_identity`,
    );
  }

  /**
   * Fields of columns that were added with a default, by column: the value that existing rows
   * received.
   */
  readonly given = (): ReadonlyMap<string, Buffer> => this.#given;

  /** The target as far as it is known now. */
  readonly describe = (): SegmentTarget => {
    const { table, schema } = this.#table;
    const { id, database = this.#configuredDatabase, schema: found } = this.#identity ?? {};
    const inSchema = found ?? schema ?? this.#configuredSchema;
    const place = this.#database.placeOf(schema, () => undefined);
    return {
      ...(database === undefined ? {} : { database }),
      ...(inSchema === undefined ? {} : { schema: inSchema }),
      table,
      ...(id === undefined ? {} : { id }),
      ...(place === undefined ? {} : { address: digestOf(place) }),
    };
  };

  get #configuredDatabase(): string | undefined {
    const driver = this.#database.found?.driver as { readonly database?: string } | undefined;
    return driver?.database;
  }

  get #configuredSchema(): string | undefined {
    const options = this.#database.found?.options as { readonly schema?: string } | undefined;
    return options?.schema;
  }
}

/** An address that could not be parsed may contain a password, and host names are private too. */
function digestOf(place: string): string {
  return createHash('sha256').update(place).digest('hex').slice(0, ADDRESS_DIGITS);
}
