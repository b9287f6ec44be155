import type { DataSource } from 'typeorm';
import { Deadline } from './clock/deadline.js';
import { PgConnections } from './postgres/pg-connections.js';
import { SPARE_CONNECTIONS } from './postgres/connection-defaults.js';
import {
  createTurnstiles,
  resizeTurnstiles,
  type SpareTurnstiles,
} from './postgres/spare-connections.js';
import { usesNative } from './postgres/javascript-client.js';
import { open, type PostgresOptions } from './postgres/open.js';
import { parseAddress } from './postgres/parse-address.js';
import { refusedOptions, type RefusedOption } from './postgres/refused-options.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import { NOT_SHOWN, showValue } from './config/show-value.js';
import { noDatabaseRule } from './config/fallback-database.js';
import { LedgerOptionsError } from './errors/ledger-options.error.js';

/** Default size of a `pg` pool. Source: pg-pool's documentation. */
const DEFAULT_POOL_SIZE = 10;

/** Milliseconds that a query about the server may take. */
const ASK_MS = 10_000;

/** The connections of each pool, shared by all its ledgers. */
const TURNSTILES = new WeakMap<DataSource, SpareTurnstiles>();

/** Looks up the application's default DataSource; undefined if it has none. */
export type FindDataSource = () => DataSource | undefined;

/**
 * The database of a ledger: its own connection, a given DataSource, or the application's default
 * one.
 *
 * @internal
 */
export class LedgerDatabase {
  /** The ledger created the connection, and ends it. */
  readonly isOwn: boolean;
  /** The source of every session with this database. */
  readonly connections: PgConnections;
  readonly #options: ResolvedLedgerOptions;
  readonly #name: string;
  #dataSource: DataSource | undefined;

  /**
   * @param name of the ledger; `application_name` on the server
   * @throws LedgerOptionsError that names the option of `connection` that keeps the ledger from writing
   */
  constructor(options: ResolvedLedgerOptions, name: string) {
    this.#options = options;
    this.#name = name;
    this.isOwn = options.connection !== undefined;
    this.#dataSource = this.isOwn ? this.#makeOwn() : options.dataSource;
    this.connections = new PgConnections({
      dataSource: () => this.dataSource,
      ownsDataSource: this.isOwn,
    });
  }

  #makeOwn(): DataSource {
    const { connection, figures } = this.#options;
    // Checked before TypeORM, whose error would say less.
    checkOptions({ ...connection, type: 'postgres' }, true);
    return open(connection!, {
      applicationName: `nestjs-ledger ${this.#name}`,
      poolSize: figures.mostWorkers + SPARE_CONNECTIONS,
    });
  }

  /** @throws Error before `find` was called, if the application's DataSource will be used */
  get dataSource(): DataSource {
    if (this.#dataSource === undefined) throw new Error('the ledger has no DataSource yet');
    return this.#dataSource;
  }

  /** The DataSource, once it is known. */
  get found(): DataSource | undefined {
    return this.#dataSource;
  }

  /**
   * Chooses the DataSource.
   * @throws LedgerOptionsError that names the three ways, if there is none or no PostgreSQL; that names
   * the option, if one of `pg` or TypeORM keeps the ledger from writing
   */
  find(find: FindDataSource): void {
    this.#dataSource ??= find();
    if (this.#dataSource === undefined) throw noDatabase();
    const { type } = this.#dataSource.options;
    if (type !== 'postgres') throw notPostgres(type);
    if (!this.isOwn) checkOptions(this.#dataSource.options, false);
    if (usesNative(this.#dataSource)) throw native(this.isOwn);
  }

  /**
   * Whether it is the application's DataSource, or one given to several ledgers, and this ledger
   * writes to it too.
   */
  shares(dataSource: DataSource, find: FindDataSource): boolean {
    return !this.isOwn && (this.#dataSource ?? find()) === dataSource;
  }

  /**
   * Identifies database and schema: equal texts mean equal addresses.
   *
   * @param schema of the definition; undefined for the connection's own
   * @returns undefined if there is no database
   */
  placeOf(schema: string | undefined, find: FindDataSource): string | undefined {
    const dataSource = this.#dataSource ?? find();
    if (dataSource?.options.type !== 'postgres') return undefined;
    const { replication, schema: ownSchema } = dataSource.options;
    const server = replication?.master ?? dataSource.options;
    const extra = dataSource.options.extra as
      { options?: string; connectionString?: string } | undefined;
    const url = server.url ?? extra?.connectionString;
    const { host = 'localhost', port = 5432, database } = server;
    const address = url === undefined ? [host, Number(port), database] : addressOf(url);
    return JSON.stringify([address, extra?.options ?? searchPathOf(url), schema ?? ownSchema]);
  }

  /**
   * Gives reads and maintenance access to the pool's spare connections, shared by all its ledgers.
   *
   * @throws Error as `dataSource`
   */
  get turnstiles(): SpareTurnstiles {
    const { dataSource } = this;
    let found = TURNSTILES.get(dataSource);
    if (found === undefined) {
      found = createTurnstiles(SPARE_CONNECTIONS);
      TURNSTILES.set(dataSource, found);
    }
    return found;
  }

  /**
   * Gives the connections that the workers leave to reads and maintenance: all of them in the
   * ledger's own pool, half of them in the application's pool.
   *
   * @param numWorkers of all ledgers on the pool
   */
  spare(numWorkers: number): void {
    const left = this.poolSize - numWorkers;
    const size = this.isOwn ? left : Math.floor((left - 1) / 2);
    resizeTurnstiles(this.turnstiles, Math.max(1, size));
  }

  /** Connections that the pool may open. */
  get poolSize(): number {
    const { extra, poolSize } = this.dataSource.options as {
      extra?: { max?: number | string; poolSize?: number | string } | null;
      poolSize?: number | string;
    };
    // A property that is present but undefined overrides TypeORM's option, and 0 means none.
    const max = Number(extra && 'max' in extra ? extra.max : poolSize);
    return max || Number(extra?.poolSize) || DEFAULT_POOL_SIZE;
  }

  /**
   * Number of workers, over all ledgers, that the pool can serve without starving the application
   * or the reads.
   */
  get maxWorkers(): number {
    return Math.max(1, this.poolSize - 1);
  }

  /** The server's connection limit. Rejects if the server does not report it. */
  async readMaxConnections(): Promise<number> {
    const [row] = await this.connections.use(new Deadline(ASK_MS), (session) =>
      session.rows<{ max_connections: string }>('SHOW max_connections'),
    );
    return Number(row?.max_connections);
  }
}

function addressOf(url: string): unknown[] {
  try {
    const { host = 'localhost', port = '5432', database } = parseAddress(url);
    return [host, Number(port), database];
  } catch {
    return [url];
  }
}

function searchPathOf(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  try {
    return parseAddress(url).parameters.get('options');
  } catch {
    return undefined;
  }
}

function noDatabase(): LedgerOptionsError {
  const rule = noDatabaseRule(process.cwd());
  return new LedgerOptionsError([{ name: 'connection', value: 'none', rule, source: 'code' }]);
}

/** @throws LedgerOptionsError */
function checkOptions(options: PostgresOptions, isOwn: boolean): void {
  const refused = refusedOptions(options, isOwn);
  if (refused.length > 0) throw refusal(refused, isOwn ? 'connection' : 'dataSource');
}

function refusal(refused: readonly RefusedOption[], owner: string): LedgerOptionsError {
  return new LedgerOptionsError(
    refused.map(({ name, value, rule, isSecret }) => ({
      name: `${owner}.${name}`,
      value: isSecret ? NOT_SHOWN : showValue(value),
      rule,
      source: 'code',
    })),
  );
}

function native(isOwn: boolean): LedgerOptionsError {
  const rule = isOwn
    ? "must use pg's JavaScript client, but NODE_PG_FORCE_NATIVE is set: unset it"
    : "uses pg-native, and the ledger needs pg's JavaScript client: give the ledger a `connection` of its own, " +
      'or the DataSource `extra: { Client: pg.Client }`, or remove the package pg-native';
  const name = isOwn ? 'connection' : 'dataSource';
  return new LedgerOptionsError([{ name, value: 'pg-native', rule, source: 'code' }]);
}

function notPostgres(type: string): LedgerOptionsError {
  const rule = 'the ledger writes to PostgreSQL only: give `connection` or another `dataSource`';
  return new LedgerOptionsError([{ name: 'dataSource', value: type, rule, source: 'code' }]);
}
