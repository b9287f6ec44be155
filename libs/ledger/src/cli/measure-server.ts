import { randomBytes } from 'node:crypto';
import { DataSource } from 'typeorm';
import type { MeasuredStep } from '../advice/recommend-settings.js';
import { createRowTarget, type RowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createEntries } from '../migrations/ledger-migrations.js';
import { tableNames } from '../migrations/table-names.js';
import { readPgError } from '../sink/postgres/read-pg-error.js';
import { PostgresSink } from '../sink/postgres.sink.js';
import type { RowBatch } from '../sink/ledger-sink.interface.js';
import type { CommandOutput } from './command-output.js';

/** Source: the rows of the guide's table that COPY is measured to gain from. */
const BATCH_SIZES = [100, 500, 2_000, 10_000];
/** More workers that gain less than this gain nothing: the server's CPU or disk is what binds. */
const WORTHWHILE = 1.1;
const ATTEMPT = { timeoutMs: 30_000, isAwaited: false, mayExist: false };
const CONNECT_TIMEOUT_MS = 10_000;
const NOT_ALLOWED = '42501';

/** @internal */
export interface MeasurePlan {
  readonly databaseUrl: string;
  readonly schema: string | undefined;
  /** The most connections that write at once. */
  readonly mostWorkers: number;
  /** Seconds for each pair of workers and batch size. */
  readonly stepSeconds: number;
  /** Ends it early; the table is dropped all the same. */
  readonly signal: AbortSignal;
}

/** @internal */
export interface Measurement {
  readonly maxConnections: number;
  readonly steps: readonly MeasuredStep[];
  /** Whether the role may not create tables: `TEMPORARY` ones skip the log, and promise too much. */
  readonly isWithoutLog: boolean;
}

/**
 * Writes batches into a table made for it, with all indexes that a ledger's has, and drops it. It is
 * no `TEMPORARY` one where the role may create another: those are seen by one connection only, and a
 * commit does not wait for the disk.
 *
 * @throws what TypeORM, pg or the sink throws; the signal's reason
 * @internal
 */
export async function measureServer(
  plan: MeasurePlan,
  output: CommandOutput,
): Promise<Measurement> {
  const bench = new TuneTable(plan);
  try {
    const maxConnections = await bench.create();
    const most = Math.max(1, Math.min(plan.mostWorkers, Math.floor(maxConnections / 2)));
    const workers = growing(most);
    const bar = output.progress('measuring', workers.length * BATCH_SIZES.length, 'steps');
    const steps: MeasuredStep[] = [];
    let best = 0;
    try {
      for (const count of workers) {
        const before = best;
        for (const batchSize of BATCH_SIZES) {
          const step = await bench.measure(count, batchSize);
          steps.push(step);
          best = Math.max(best, step.entriesPerSecond);
          bar.at(steps.length);
        }
        if (best < before * WORTHWHILE) break;
      }
    } finally {
      bar.end();
    }
    return { maxConnections, steps, isWithoutLog: bench.isTemporary };
  } finally {
    await bench.drop();
  }
}

/** 1, 2, 4 … and the most itself. */
function growing(most: number): number[] {
  const counts: number[] = [];
  for (let count = 1; count < most; count *= 2) counts.push(count);
  return [...counts, most];
}

interface Writer {
  readonly dataSource: DataSource;
  readonly sink: PostgresSink;
}

class TuneTable {
  isTemporary = false;
  readonly #plan: MeasurePlan;
  readonly #table: LedgerTable;
  readonly #codec: RowCodec;
  readonly #writers: Writer[] = [];
  readonly #run = randomBytes(4).readUInt32BE();
  #sequence = 0;
  #isMade = false;

  constructor(plan: MeasurePlan) {
    this.#plan = plan;
    const table = `nestjs_ledger_tune_${this.#run.toString(16)}`;
    this.#table = { name: 'default', schema: undefined, table, ids: 'bigint', columns: {} };
    this.#codec = new RowCodec(this.#table);
  }

  /** @returns the server's `max_connections` */
  async create(): Promise<number> {
    const { dataSource: first } = await this.#writer(0);
    const statements = createEntries(this.#table, this.#names);
    try {
      await first.query(`BEGIN; ${statements.join(';')}; COMMIT`);
      this.#isMade = true;
    } catch (error) {
      if (readPgError(error).code !== NOT_ALLOWED) throw error;
      await this.#writers.pop()?.sink.close();
      this.isTemporary = true;
    }
    const { dataSource } = await this.#writer(0);
    const [row] = await dataSource.query<{ value: string }[]>(
      "SELECT current_setting('max_connections') AS value",
    );
    return Number(row?.value);
  }

  /** Each worker writes batch after batch until the time is over, as busy workers do. */
  async measure(workers: number, batchSize: number): Promise<MeasuredStep> {
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
    for (const { dataSource } of this.isTemporary ? writers : writers.slice(0, 1)) {
      await dataSource.query(`TRUNCATE ${this.#names.sqlEntries}`);
    }
    const entriesPerSecond = Math.round((batches * batchSize) / seconds);
    return { workers, batchSize, entriesPerSecond, flushMs: round(busyMs / batches) };
  }

  /** Never rejects but for a table that could not be dropped, which a person must know. */
  async drop(): Promise<void> {
    try {
      const [first] = this.#writers;
      if (this.#isMade) await first?.dataSource.query(`DROP TABLE ${this.#names.sqlEntries}`);
    } finally {
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
    const { databaseUrl, schema } = this.#plan;
    const dataSource = new DataSource({
      type: 'postgres',
      url: databaseUrl,
      applicationName: 'nestjs-ledger tune',
      connectTimeoutMS: CONNECT_TIMEOUT_MS,
      poolSize: 1,
      installExtensions: false,
    });
    const table = { ...this.#table, schema: this.isTemporary ? undefined : schema };
    const sink = new PostgresSink({
      dataSource: () => dataSource,
      ownsDataSource: true,
      table,
      strategy: 'copy',
      prepare: () => Promise.resolve(),
      onNotice: () => undefined,
    });
    const writer = { dataSource, sink };
    await dataSource.initialize();
    this.#writers[index] = writer;
    if (this.isTemporary) await this.#createTemporary(dataSource);
    return writer;
  }

  async #createTemporary(dataSource: DataSource): Promise<void> {
    for (const sql of createEntries(this.#table, this.#names)) {
      await dataSource.query(sql.replace(/^CREATE TABLE/, 'CREATE TEMPORARY TABLE'));
    }
  }

  /** Rows as a ledger would send them: back to back, each with a uuid of its own. */
  #batch(count: number): RowBatch {
    const { parser } = this.#codec;
    const ends: number[] = [];
    let target: RowTarget | undefined;
    for (let end = 0; ends.length < count; ends.push(end)) {
      const sequence = ++this.#sequence;
      // Rows of one length whatever the ids, so that the first one's bound is that of all.
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

const MEMO = 'chat completion, gpt-4o-mini';

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
