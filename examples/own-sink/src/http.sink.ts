import type { LedgerDefinition } from 'nestjs-ledger';
import {
  createRowReader,
  SinkHaltError,
  SinkRowError,
  SinkTransientError,
  type LedgerSink,
  type RowBatch,
  type RowReader,
  type WriteAttempt,
  type WriteResult,
} from 'nestjs-ledger/sink';

/** Where the collector is, and what its entries look like. */
export interface HttpSinkOptions {
  readonly definition: LedgerDefinition;
  /** Address of the collector, without a path. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly token?: string;
}

/** What a request to the collector may take besides `write`, `find` and `ping`, which have a limit. */
const PREPARE_TIMEOUT_MS = 5_000;

/** Codes of a connection that never stood: the collector has seen nothing of the request. */
const NOT_SENT = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
];

/**
 * Sends batches to a collector: one `POST` of NDJSON for each batch. Level `exactly-once`: the
 * collector knows each entry by its uuid, so any batch may be sent again, also in other pieces.
 */
export class HttpSink implements LedgerSink {
  readonly #options: HttpSinkOptions;
  readonly #reader: RowReader;
  readonly #open = new Set<AbortController>();
  #isClosed = false;

  constructor(options: HttpSinkOptions) {
    this.#options = options;
    this.#reader = createRowReader(options.definition);
  }

  /** The ledger calls it again, with growing pauses, until it resolves. */
  async prepare(signal?: AbortSignal): Promise<void> {
    await this.#request('GET', '/health', { timeoutMs: PREPARE_TIMEOUT_MS, signal });
  }

  /**
   * The collector answers after its file is synced, and compares each uuid with what it has. So
   * neither `isAwaited` nor `mayExist` changes anything here.
   */
  async write(batch: RowBatch, { timeoutMs }: WriteAttempt): Promise<WriteResult> {
    const answer = await this.#request('POST', '/entries', { timeoutMs, body: this.#body(batch) });
    const { written, duplicates, conflicts } = answer as unknown as WriteResult;
    return { written, duplicates, conflicts };
  }

  async find(batch: RowBatch, timeoutMs: number, isSame = false): Promise<readonly number[]> {
    const path = isSame ? '/entries/find?same=1' : '/entries/find';
    const answer = await this.#request('POST', path, { timeoutMs, body: this.#body(batch) });
    return answer['found'] as number[];
  }

  async ping(timeoutMs: number): Promise<void> {
    await this.#request('GET', '/health', { timeoutMs });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const attempt of this.#open) attempt.abort();
  }

  /** One line an entry, in the order of the rows: the answer names rows by their index. */
  #body(batch: RowBatch): string {
    let body = '';
    for (const entry of this.#reader.entries(batch)) body += `${JSON.stringify(entry)}\n`;
    return body;
  }

  /**
   * One request, its answer included, within the time limit.
   *
   * @throws SinkTransientError, SinkRowError, SinkHaltError
   */
  async #request(
    method: 'GET' | 'POST',
    path: string,
    given: { timeoutMs: number; body?: string; signal?: AbortSignal | undefined },
  ): Promise<Record<string, unknown>> {
    if (this.#isClosed) {
      throw new SinkTransientError('the sink was closed', { outcomeKnown: true });
    }
    const attempt = new AbortController();
    const abort = (): void => attempt.abort();
    const timer = setTimeout(abort, given.timeoutMs);
    given.signal?.addEventListener('abort', abort);
    this.#open.add(attempt);
    try {
      const response = await fetch(new URL(path, this.#options.url), {
        method,
        headers: this.#headers(),
        body: given.body ?? null,
        signal: attempt.signal,
        // A POST that is redirected would arrive as a GET, without its entries.
        redirect: 'manual',
      });
      const text = await response.text();
      if (!response.ok) throw refusalOf(response.status, text);
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    } catch (error) {
      throw failureOf(error);
    } finally {
      clearTimeout(timer);
      given.signal?.removeEventListener('abort', abort);
      this.#open.delete(attempt);
    }
  }

  #headers(): Record<string, string> {
    const { token } = this.#options;
    return {
      'content-type': 'application/x-ndjson',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
  }
}

/** What an answer other than 2xx means. It must hold no text of a user: errors are logged. */
function refusalOf(status: number, text: string): Error {
  if (status === 422) return rowErrorOf(text);
  // No row is named, so the writer halves the batch until it fits.
  if (status === 413) return new SinkRowError('the collector takes no body of this size');
  if (status === 408 || status === 429 || status >= 500) {
    // 429 and 503 come before the collector has read an entry; the others may come at any time.
    const outcomeKnown = status === 429 || status === 503;
    return new SinkTransientError(`the collector is busy (HTTP ${status})`, { outcomeKnown });
  }
  // A wrong address or token: entries are kept until somebody has mended that.
  return new SinkHaltError(`the collector refuses every batch (HTTP ${status})`);
}

/** The collector names the row at fault, from 0, and the rule that it broke. */
function rowErrorOf(text: string): SinkRowError {
  const { row, rule } = JSON.parse(text) as { row: number; rule: string };
  return new SinkRowError(`the collector refuses an entry: ${rule}`, {
    rowNumber: row + 1,
    subject: rule,
  });
}

/** A request that got no answer: it counts only as not sent if no connection stood. */
function failureOf(error: unknown): Error {
  if (error instanceof SinkRowError || error instanceof SinkHaltError) return error;
  if (error instanceof SinkTransientError) return error;
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  const reason = code ?? (error as Error).name;
  return new SinkTransientError(`the collector does not answer (${reason})`, {
    outcomeKnown: code !== undefined && NOT_SENT.includes(code),
    ...(code === undefined ? {} : { sqlState: code }),
    cause: error,
  });
}
