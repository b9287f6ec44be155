import { SinkTransientError } from '../errors/sink.errors.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type {
  EachRowResult,
  LedgerSink,
  RowBatch,
  WriteAttempt,
  WriteResult,
} from '../ports/ledger-sink.interface.js';

/**
 * The application's own sink. Its answers are checked before anything is counted. An answer that
 * does not account for each row exactly once would break the conservation law, so the outcome
 * counts as unknown and the batch is written again.
 *
 * @internal
 */
export class CheckedSink implements LedgerSink {
  readonly #sink: LedgerSink;
  readonly #logger: LedgerLogger;

  /** Undefined if the sink has none. */
  readonly writeEach?: (batch: RowBatch, attempt: WriteAttempt) => Promise<EachRowResult>;

  constructor(sink: LedgerSink, logger: LedgerLogger) {
    this.#sink = sink;
    this.#logger = logger;
    if (typeof sink.writeEach === 'function') {
      this.writeEach = (batch, attempt) => this.#writeEach(batch, attempt);
    }
  }

  async prepare(signal?: AbortSignal): Promise<void> {
    await this.#sink.prepare(signal);
  }

  async write(batch: RowBatch, attempt: WriteAttempt): Promise<WriteResult> {
    const result: unknown = await this.#sink.write(batch, attempt);
    if (isResultOf(batch, result)) return result;
    throw unclear(`the sink's answer does not account for each of ${batch.count} rows once`);
  }

  async #writeEach(batch: RowBatch, attempt: WriteAttempt): Promise<EachRowResult> {
    const result: unknown = await this.#sink.writeEach!(batch, attempt);
    if (isEachResultOf(batch, result)) return result;
    throw unclear(`the sink's answer does not account for each of ${batch.count} rows once`);
  }

  async find(batch: RowBatch, timeoutMs: number, isSame?: boolean): Promise<readonly number[]> {
    const found: unknown = await this.#sink.find(batch, timeoutMs, isSame);
    if (isIndexes(found, batch.count)) return found;
    throw unclear('the sink did not answer with indexes of rows');
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.#sink.ping(timeoutMs);
  }

  /** Never rejects. */
  async close(timeoutMs?: number): Promise<void> {
    try {
      await this.#sink.close(timeoutMs);
    } catch (error) {
      const why = error instanceof Error ? error.name : typeof error;
      this.#logger.warn(`WARNING: the sink could not be closed (${why})`);
    }
  }
}

function isResultOf({ count }: RowBatch, result: unknown): result is WriteResult {
  if (typeof result !== 'object' || result === null) return false;
  const { written, duplicates, conflicts } = result as Partial<WriteResult>;
  if (!isIndexes(duplicates, count) || !isIndexes(conflicts, count)) return false;
  const named = new Set([...duplicates, ...conflicts]);
  if (named.size < duplicates.length + conflicts.length) return false;
  return written === count - named.size;
}

function isEachResultOf({ count }: RowBatch, result: unknown): result is EachRowResult {
  if (typeof result !== 'object' || result === null) return false;
  const { written, duplicates, conflicts, refused, untried } = result as Partial<EachRowResult>;
  if (!Array.isArray(refused)) return false;
  const failed = (refused as EachRowResult['refused']).map((each) => {
    return isLedgerError(each?.error, 'SINK_ROW') || isLedgerError(each?.error, 'SINK_HALT')
      ? each.index
      : -1;
  });
  const lists = [duplicates, conflicts, untried, failed];
  if (!lists.every((list) => isIndexes(list, count))) return false;
  const named = (lists as number[][]).flat();
  return new Set(named).size === named.length && written === count - named.length;
}

/** Whether indexes are ascending and unique. */
function isIndexes(indexes: unknown, count: number): indexes is readonly number[] {
  if (!Array.isArray(indexes)) return false;
  return (indexes as unknown[]).every((index, i) => {
    const isRow = Number.isInteger(index) && (index as number) >= 0 && (index as number) < count;
    return isRow && (i === 0 || (index as number) > (indexes[i - 1] as number));
  });
}

function unclear(message: string): SinkTransientError {
  return new SinkTransientError(message, { outcomeKnown: false });
}
