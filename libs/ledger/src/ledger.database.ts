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

/** Size of a `pg` pool that was given none. Source: pg-pool's documentation. */
const DEFAULT_POOL_SIZE = 10;

/** Milliseconds that a question about the server may take. */
const ASK_MS = 10_000;

/** Those of each pool: all ledgers on it share them. */
const TURNSTILES = new WeakMap<DataSource, SpareTurnstiles>();

/** Looks up the application's default DataSource; undefined if it has none. */
export type FindDataSource = () => DataSource | undefined;

/**
 * Which database a ledger writes to: a connection of its own, a DataSource that it was given, or
 * the application's default one.
 *
 * @internal
 */
export class LedgerDatabase {
  /** The ledger made the connection, and ends it. */
  readonly isOwn: boolean;
  /** Where every session with this database comes from. */
  readonly connections: PgConnections;
  readonly #options: ResolvedLedgerOptions;
  readonly #name: string;
  #dataSource: DataSource | undefined;

  /**
   * @param name of the ledger, which the server sees as `application_name`
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
    // Before TypeORM has them, which would say less.
    checkOptions({ ...connection, type: 'postgres' }, true);
    return open(connection!, {
      applicationName: `nestjs-ledger ${this.#name}`,
      poolSize: figures.mostWorkers + SPARE_CONNECTIONS,
    });
  }

  /** @throws Error before `find` was called, if the application's DataSource is to be used */
  get dataSource(): DataSource {
    if (this.#dataSource === undefined) throw new Error('the ledger has no DataSource yet');
    return this.#dataSource;
  }

  /** The DataSource, as soon as it is known which. */
  get found(): DataSource | undefined {
    return this.#dataSource;
  }

  /**
   * Settles which DataSource it is.
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

  /** Whether it is the application's, or given to several ledgers, and this one writes to it too. */
  shares(dataSource: DataSource, find: FindDataSource): boolean {
    return !this.isOwn && (this.#dataSource ?? find()) === dataSource;
  }

  /**
   * Tells databases and schemas apart: the same text for what is the same by its address.
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
   * Lets reads and upkeep to the pool's spare connections, those of all ledgers on it.
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
   * Gives reads and upkeep what the workers leave: all of a pool of the ledger's own, and of the
   * application's half of it, so that the application keeps the other half.
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
    // What is there and undefined goes before TypeORM's option, and 0 means none.
    const max = Number(extra && 'max' in extra ? extra.max : poolSize);
    return max || Number(extra?.poolSize) || DEFAULT_POOL_SIZE;
  }

  /** Workers that the pool can take without starving the application or the reads, of all ledgers on it. */
  get maxWorkers(): number {
    return Math.max(1, this.poolSize - 1);
  }

  /** Connections that the server takes in all. Rejects if it does not say. */
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
