import type { WriteStrategy } from '../ports/ledger-settings.interface.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { SinkHaltError, SinkTransientError } from '../errors/sink.errors.js';
import { tableNames } from '../postgres/table-names.js';
import type {
  EachRowResult,
  LedgerSink,
  RowBatch,
  WriteAttempt,
  WriteResult,
} from '../ports/ledger-sink.interface.js';
import type { BatchAttempt, StrategyWriter } from './strategy-writer.interface.js';
import { classifyPgError, toSinkError } from '../postgres/classify-pg-error.js';
import { CopyWriter } from './copy-writer.js';
import { CopyStatement } from '../postgres/copy-statement.js';
import { Deadline } from '../clock/deadline.js';
import { findRows } from './find-rows.js';
import { EachRowWriter } from './each-row-writer.js';
import { InsertWriter } from './insert-writer.js';
import { MissingWriter } from './missing-writer.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import { StatementError } from '../postgres/pg-lease.js';
import { ConnectError } from '../postgres/connect-error.js';
import { readPgError, type PgFailure } from '../postgres/read-pg-error.js';
import { readTableShape } from './read-table-shape.js';
import type { TableShape } from './read-table-shape.js';
import type { ServerQuestion } from './server-question.js';
import type { Verdict } from '../postgres/sql-states.js';

/** @internal */
export interface PostgresSinkOptions {
  /** Source of each attempt's connection. */
  readonly connections: PgConnections;
  /** Whether `close` also ends the connections. Default: false. */
  readonly closesConnections?: boolean;
  readonly table: LedgerTable;
  readonly strategy: WriteStrategy;
  /** Migrates or verifies the table; its ledger errors are passed on unchanged. */
  readonly prepare: (connections: PgConnections, signal?: AbortSignal) => Promise<void>;
  /** Called once if the sink had to change its strategy, with words for a log line. */
  readonly onNotice: (text: string) => void;
  /** Asked on connections before a batch; undefined if the answer is not needed. */
  readonly question?: ServerQuestion | undefined;
}

/** Milliseconds for the question at the start. */
const ASK_MS = 10_000;

const COPY_REFUSED =
  'the server takes no COPY for this table (row-level security, a view, or a proxy): ' +
  'continuing with strategy insert';

/**
 * Maximum rounds in which a batch is compared and written before its rows are at fault. Each
 * further round requires another writer to commit a row of the batch between the two; a row that a
 * policy hides from the ledger's role uses all of them.
 */
const MOST_ROUNDS = 8;

/**
 * Writes batches into PostgreSQL on connections of a TypeORM pool, one connection per attempt.
 *
 * @internal
 */
export class PostgresSink implements LedgerSink {
  /** For other writers, such as dead letters. */
  readonly connections: PgConnections;
  readonly #writers: Readonly<Record<WriteStrategy, StrategyWriter>>;
  readonly #missing: MissingWriter;
  readonly #each: EachRowWriter;
  #strategy: WriteStrategy;

  constructor(private readonly options: PostgresSinkOptions) {
    const { connections, strategy, table } = options;
    this.connections = connections;
    this.#writers = { copy: new CopyWriter(table), insert: new InsertWriter(table) };
    this.#missing = new MissingWriter(table);
    this.#each = new EachRowWriter(table, (row, key) => this.#writeInRounds(row, key));
    this.#strategy = strategy;
  }

  /** Also `insert` after the server refused COPY. */
  get strategy(): WriteStrategy {
    return this.#strategy;
  }

  async prepare(signal?: AbortSignal): Promise<void> {
    try {
      await this.connections.ready();
      await this.options.prepare(this.connections, signal);
      await this.#askServer();
    } catch (error) {
      if (isLedgerError(error)) throw error;
      const failure = readPgError(error);
      const verdict = classifyPgError(failure);
      throw verdict === 'transient' || verdict === 'unknown'
        ? new SinkTransientError(`${transientWords(error, failure)}: ${failure.text}`, {
            cause: failure.cause,
            outcomeKnown: true,
            ...(failure.code === undefined ? {} : { sqlState: failure.code }),
          })
        : new SinkHaltError(`the table could not be prepared: ${failure.text}`, {
            cause: failure.cause,
            ...(failure.code === undefined ? {} : { sqlState: failure.code }),
          });
    }
  }

  async write(batch: RowBatch, attempt: WriteAttempt): Promise<WriteResult> {
    const deadline = new Deadline(attempt.timeoutMs);
    const { isAwaited, mayExist } = attempt;
    return this.connections.use(deadline, async (session) => {
      await this.#ask(session, !mayExist);
      const sqlTable = this.#sqlTable(session);
      const attempted = { session, batch, isAwaited, sqlTable };
      return mayExist ? this.#writeMissing(attempted, true) : this.#writeNew(attempted);
    });
  }

  async writeEach(batch: RowBatch, attempt: WriteAttempt): Promise<EachRowResult> {
    const deadline = new Deadline(attempt.timeoutMs);
    const { isAwaited, mayExist } = attempt;
    return this.connections.use(deadline, async (session) => {
      await this.#ask(session, !mayExist);
      const attempted = { session, batch, isAwaited, sqlTable: this.#sqlTable(session) };
      try {
        return await this.#each.write(attempted, await this.#readShape(attempted));
      } catch (error) {
        throw this.#translate(error, !mayExist);
      }
    });
  }

  async find(batch: RowBatch, timeoutMs: number, isSame = false): Promise<readonly number[]> {
    const deadline = new Deadline(timeoutMs);
    return this.connections.use(deadline, async (session) => {
      const sqlTable = this.#sqlTable(session);
      try {
        if (!isSame) return await findRows(session, batch, sqlTable);
        const attempt = { session, batch, isAwaited: false, sqlTable };
        return await this.#missing.findSame(attempt, batch);
      } catch (error) {
        throw this.#translate(error, true);
      }
    });
  }

  async ping(timeoutMs: number): Promise<void> {
    const deadline = new Deadline(timeoutMs);
    await this.connections.use(deadline, async (session) => {
      try {
        await session.run(new CopyStatement(['SELECT 1'], []));
        await this.options.question?.ask(session);
      } catch (error) {
        throw this.#translate(error, true);
      }
    });
  }

  async close(timeoutMs?: number): Promise<void> {
    this.options.question?.close();
    if (this.options.closesConnections === true) await this.connections.close(timeoutMs);
  }

  /** Rows left by earlier runs may belong to a different server. */
  async #askServer(): Promise<void> {
    const { question } = this.options;
    if (question === undefined) return;
    const deadline = new Deadline(ASK_MS);
    await this.connections.use(deadline, (session) => question.ask(session));
  }

  /** @throws SinkTransientError if the session ended, with nothing of the batch sent */
  async #ask(session: PgSession, isNew: boolean): Promise<void> {
    try {
      await this.options.question?.ask(session);
    } catch (error) {
      throw this.#translate(error, isNew);
    }
  }

  #sqlTable({ schema }: PgSession): string {
    return tableNames(this.options.table, schema).sqlEntries;
  }

  async #writeNew(attempt: BatchAttempt): Promise<WriteResult> {
    try {
      return await this.#writeByStrategy(attempt);
    } catch (error) {
      if (await this.#isTaken(attempt, error)) return this.#writeMissing(attempt, false);
      throw await this.#explain(attempt, error, true);
    }
  }

  /** @throws StatementError */
  async #writeByStrategy(attempt: BatchAttempt): Promise<WriteResult> {
    const strategy = this.#strategy;
    try {
      return await this.#writers[strategy].writeNew(attempt);
    } catch (error) {
      if (strategy === 'insert' || verdictOf(error) !== 'no-copy') throw error;
      this.#goOnWithInsert();
      return this.#writeByStrategy(attempt);
    }
  }

  /** @param mayExist an earlier attempt may have written the rows, independent of this one */
  async #writeMissing(attempt: BatchAttempt, mayExist: boolean): Promise<WriteResult> {
    try {
      const { key } = await this.#readShape(attempt);
      return await this.#writeInRounds(attempt, key);
    } catch (error) {
      throw await this.#explain(attempt, error, !mayExist);
    }
  }

  /** @throws StatementError */
  async #writeInRounds(attempt: BatchAttempt, key: readonly string[]): Promise<WriteResult> {
    for (let round = 1; ; round++) {
      const writeNew = (rows: BatchAttempt): Promise<WriteResult> => this.#writeByStrategy(rows);
      try {
        return await this.#missing.write(attempt, { key, writeNew, hasCopies: round > 1 });
      } catch (error) {
        if (round === MOST_ROUNDS || !(await this.#isTaken(attempt, error))) throw error;
      }
    }
  }

  #goOnWithInsert(): void {
    if (this.#strategy === 'insert') return;
    this.#strategy = 'insert';
    this.options.onNotice(COPY_REFUSED);
  }

  async #readShape(attempt: BatchAttempt, error?: StatementError): Promise<TableShape> {
    const { session, sqlTable } = attempt;
    const { schema, constraint: name } = error?.failure ?? {};
    const shape = await readTableShape(session, sqlTable, { schema, name });
    return shape.key.length > 0 ? shape : { ...shape, key: ['uuid'] };
  }

  /** Whether a row's key exists, as opposed to a value in another unique index. */
  async #isTaken(attempt: BatchAttempt, error: unknown): Promise<boolean> {
    if (!(error instanceof StatementError) || verdictOf(error) !== 'exists') return false;
    try {
      return (await this.#readShape(attempt, error)).isPrimaryKey;
    } catch (lookupError) {
      throw this.#translate(lookupError, true);
    }
  }

  /**
   * A policy that refuses a row answers 42501, like a missing privilege; the catalog distinguishes
   * them.
   */
  async #explain(attempt: BatchAttempt, error: unknown, isNew: boolean): Promise<unknown> {
    if (!(error instanceof StatementError) || error.failure.code !== '42501') {
      return this.#translate(error, isNew);
    }
    if (!attempt.session.isHeld || error.failure.rowNumber !== undefined) {
      return this.#translate(error, isNew);
    }
    const hasRowPolicies = await this.#readShape(attempt).then(
      (shape) => shape.hasRowPolicies,
      () => false,
    );
    return hasRowPolicies
      ? toSinkError(error.failure, 'row', error.outcomeKnown)
      : this.#translate(error, isNew);
  }

  /** @param isNew false if rows may exist from an earlier attempt */
  #translate(error: unknown, isNew: boolean): unknown {
    if (isLedgerError(error)) return error;
    if (!(error instanceof StatementError)) {
      const failure = readPgError(error);
      return toSinkError(failure, 'transient', isNew);
    }
    const { failure, outcomeKnown } = error;
    return toSinkError(failure, classifyPgError(failure), outcomeKnown && isNew);
  }
}

/** A pooler that answers is reachable. */
function transientWords(error: unknown, { isAnswer }: PgFailure): string {
  const isRefusal = error instanceof ConnectError && isAnswer;
  return isRefusal ? 'the connection was refused' : 'the database is away';
}

function verdictOf(error: unknown): Verdict | undefined {
  return error instanceof StatementError ? classifyPgError(error.failure) : undefined;
}
