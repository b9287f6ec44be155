import { Deadline } from '../clock/deadline.js';
import { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import { open } from '../postgres/open.js';
import { randomBytes } from 'node:crypto';
import type { MeasuredStep } from '../advice/recommend-settings.js';
import { createRowTarget, type RowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createEntriesScript } from '../migrations/entries-sql.js';
import { tableNames } from '../postgres/table-names.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { PostgresSink } from '../sink/postgres.sink.js';
import type { RowBatch } from '../ports/ledger-sink.interface.js';
import type { MeasurePlan } from './measure-server.js';

const ATTEMPT = { timeoutMs: 30_000, isAwaited: false, mayExist: false };
const NOT_ALLOWED = '42501';
/** A role may do this to its own. */
const TERMINATE_SQL = `SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
  WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()`;

interface Writer {
  readonly connections: PgConnections;
  readonly sink: PostgresSink;
}

/**
 * The table that `tune` measures with, and the connections that write to it; one more makes and
 * drops it, so that an end in mid-batch needs no other.
 *
 * @internal
 */
export class TuneTable {
  /** Whether the role may make temporary tables only. */
  isTemporary = false;
  readonly #plan: MeasurePlan;
  readonly #table: LedgerTable;
  readonly #codec: RowCodec;
  readonly #writers: Writer[] = [];
  readonly #run = randomBytes(4).readUInt32BE();
  readonly #applicationName = `nestjs-ledger tune ${this.#run.toString(16)}`;
  /** Rejects when it is to end. */
  readonly #ended: Promise<never>;
  #keeper: PgConnections | undefined;
  #created: Promise<unknown> | undefined;
  #sequence = 0;
  #isMade = false;

  constructor(plan: MeasurePlan) {
    this.#plan = plan;
    const { signal } = plan;
    this.#ended = new Promise((_, reject) => {
      const end = (): void => reject(signal.reason as Error);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
    this.#ended.catch(() => undefined);
    const table = `nestjs_ledger_tune_${this.#run.toString(16)}`;
    this.#table = { name: 'default', schema: undefined, table, ids: 'bigint', columns: {} };
    this.#codec = new RowCodec(this.#table);
  }

  /** @returns the server's `max_connections` */
  create(): Promise<number> {
    const created = this.#create();
    this.#created = created.catch(() => undefined);
    return Promise.race([created, this.#ended]);
  }

  async #create(): Promise<number> {
    const keeper = this.#connections();
    await keeper.ready();
    this.#keeper = keeper;
    const script = createEntriesScript(this.#table, this.#names.schema);
    try {
      await use(keeper, (session) => session.transaction(() => session.rows(script)));
      this.#isMade = true;
    } catch (error) {
      if (readPgError(error).code !== NOT_ALLOWED) throw error;
      this.isTemporary = true;
    }
    const [row] = await use(keeper, (session) =>
      session.rows("SELECT current_setting('max_connections') AS value"),
    );
    return Number(row?.['value']);
  }

  /** Each worker writes batch after batch until the time is over, as busy workers do. */
  measure(workers: number, batchSize: number): Promise<MeasuredStep> {
    return Promise.race([this.#measure(workers, batchSize), this.#ended]);
  }

  async #measure(workers: number, batchSize: number): Promise<MeasuredStep> {
    const writers = await Promise.all(Array.from({ length: workers }, (_, i) => this.#writer(i)));
    const { stepSeconds, signal } = this.#plan;
    // Connections open with the first batch, which is not to be measured.
    await Promise.all(writers.map(({ sink }) => sink.write(this.#batch(1), ATTEMPT)));
    let batches = 0;
    const began = performance.now();
    let busyMs = 0;
    await Promise.all(
      writers.map(async ({ sink }) => {
        do {
          signal.throwIfAborted();
          const batch = this.#batch(batchSize);
          const sent = performance.now();
          await sink.write(batch, ATTEMPT);
          busyMs += performance.now() - sent;
          batches += 1;
        } while (performance.now() - began < stepSeconds * 1000);
      }),
    );
    const seconds = (performance.now() - began) / 1000;
    for (const { connections } of this.isTemporary ? writers : writers.slice(0, 1)) {
      await use(connections, (session) => session.rows(`TRUNCATE ${this.#names.sqlEntries}`));
    }
    const entriesPerSecond = Math.round((batches * batchSize) / seconds);
    return { workers, batchSize, entriesPerSecond, flushMs: round(busyMs / batches) };
  }

  /** Never rejects but for a table that could not be dropped, which a person must know. */
  async drop(): Promise<void> {
    const keeper = this.#keeper;
    // Nothing has come as far as the server.
    if (keeper === undefined) return;
    await this.#created;
    try {
      // Batches that are under way would keep the table until they are in.
      if (this.#plan.signal.aborted) {
        await use(keeper, (session) => session.rows(TERMINATE_SQL, [this.#applicationName]));
      }
      const drop = `DROP TABLE ${this.#names.sqlEntries}`;
      if (this.#isMade) await use(keeper, (session) => session.rows(drop));
    } finally {
      await keeper.close();
      for (const { sink } of this.#writers) await sink.close();
    }
  }

  get #names() {
    return tableNames(this.#table, this.isTemporary ? undefined : this.#plan.schema);
  }

  /** One connection each, so that a temporary table stays with its writer. */
  async #writer(index: number): Promise<Writer> {
    const found = this.#writers[index];
    if (found !== undefined) return found;
    const { schema } = this.#plan;
    const connections = this.#connections();
    const table = { ...this.#table, schema: this.isTemporary ? undefined : schema };
    const sink = new PostgresSink({
      connections,
      closesConnections: true,
      table,
      strategy: 'copy',
      prepare: () => Promise.resolve(),
      onNotice: () => undefined,
    });
    const writer = { connections, sink };
    await connections.ready();
    this.#writers[index] = writer;
    if (this.isTemporary) await this.#createTemporary(connections);
    return writer;
  }

  #connections(): PgConnections {
    const dataSource = open(
      { url: this.#plan.databaseUrl, installExtensions: false },
      { applicationName: this.#applicationName, poolSize: 1 },
    );
    return new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  }

  async #createTemporary(connections: PgConnections): Promise<void> {
    const script = createEntriesScript(this.#table, this.#names.schema);
    const temporary = script.replace(/^CREATE TABLE/, 'CREATE TEMPORARY TABLE');
    await use(connections, (session) => session.rows(temporary));
  }

  /** Rows in a ledger's form: contiguous, each with its own uuid. */
  #batch(count: number): RowBatch {
    const { parser } = this.#codec;
    const ends: number[] = [];
    let target: RowTarget | undefined;
    for (let end = 0; ends.length < count; ends.push(end)) {
      const sequence = ++this.#sequence;
      // All rows have equal length, so the first one's bound applies to all.
      const entry = { userId: (sequence % 10_000) + 1, apiKeyId: 7, promptTokens: 812, memo: MEMO };
      parser.parse(entry, Date.now());
      target ??= createRowTarget(this.#codec.maxRowBytes * count);
      end = this.#codec.encode(target, end, { run: this.#run, sequence });
    }
    const bytes = target!.bytes.subarray(0, ends.at(-1));
    return {
      count,
      bytes: bytes.length,
      slices: () => [bytes],
      row: (index) => bytes.subarray(ends[index - 1] ?? 0, ends[index]),
    };
  }
}

/** A lock is waited for as long as a batch may take. */
function use<T>(connections: PgConnections, work: (session: PgSession) => Promise<T>): Promise<T> {
  return connections.use(new Deadline(ATTEMPT.timeoutMs), work);
}

const MEMO = 'chat completion, gpt-4o-mini';

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
