import { isLedgerError } from '../errors/is-ledger-error.js';
import { SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import { refusalIn, rightOf } from './nats-refusals.js';

/** Errors that only a person can correct: no such account, no such stream. */
const HALTING = new Set([
  'AuthorizationError',
  'UserAuthenticationExpiredError',
  'StreamNotFoundError',
  'InvalidNameError',
]);
/** The message was not sent, or the server reported that it did not store it. */
const KNOWN = new Set(['NoRespondersError', 'JetStreamNotEnabled', 'ConsumerNotFoundError']);

/**
 * Codes of the server's answers. Source:
 * https://github.com/nats-io/nats-server/blob/v2.15.2/server/errors.json
 */
const CODES = {
  /** A limit of the stream, for example its size: `maximum bytes exceeded`. */
  storeFailed: 10_077,
  messageTooLarge: 10_054,
  noResources: 10_023,
  storageExceeded: 10_047,
  accountExceeded: 10_002,
  tooManyRequests: 10_167,
} as const;
/** No room, until there is more of it or a writer catches up. */
const FULL: ReadonlySet<number> = new Set([
  CODES.storeFailed,
  CODES.noResources,
  CODES.storageExceeded,
  CODES.accountExceeded,
]);

/** An answer of the server's API. */
interface ApiAnswer {
  readonly code: number;
  readonly status: number;
  readonly message: string;
}

/**
 * Classifies an error of the client or the server for a message, by its name, which is the same in
 * two copies of the client. Texts come from the client and the server, and contain no values of
 * entries.
 *
 * @internal
 */
export function classifyNatsError(error: unknown): Error {
  if (isLedgerError(error)) return error;
  const { name, message } = error instanceof Error ? error : { name: 'unknown', message: '' };
  const cause = { cause: error };
  if (isApiAnswer(error)) return classifyAnswer(error);
  const refusal = refusalIn(error);
  if (refusal !== undefined) {
    const text = `the user may not ${rightOf(refusal)}: add it to the user's permissions on the servers`;
    return new SinkHaltError(text, cause);
  }
  const names = [name, causeOf(error)?.name ?? ''];
  if (names.some((each) => HALTING.has(each))) {
    return new SinkHaltError(`the stream refuses: ${message}`, cause);
  }
  const outcomeKnown = names.some((each) => KNOWN.has(each)) || socketCodeOf(error) !== undefined;
  const sqlState = socketCodeOf(error);
  return new SinkTransientError(`the stream does not answer: ${message || name}`, {
    ...cause,
    outcomeKnown,
    ...(sqlState === undefined ? {} : { sqlState }),
  });
}

function classifyAnswer(error: ApiAnswer & Error): Error {
  const { code, status, message } = error;
  const cause = { cause: error };
  if (code === CODES.messageTooLarge) {
    return new SinkRowError('a message is larger than the stream accepts', cause);
  }
  if (FULL.has(code)) {
    return new SinkTransientError(`the stream has no room: ${message}`, {
      ...cause,
      outcomeKnown: true,
    });
  }
  if (code === CODES.tooManyRequests) {
    return new SinkTransientError(`the stream is too busy: ${message}`, {
      ...cause,
      outcomeKnown: true,
    });
  }
  // 503 is a server without a leader, 500 one that failed during the request.
  if (status >= 500 && error.name !== 'StreamNotFoundError') {
    return new SinkTransientError(`the stream is not ready: ${message}`, {
      ...cause,
      outcomeKnown: false,
    });
  }
  if (KNOWN.has(error.name)) {
    return new SinkTransientError(`the stream is not ready: ${message}`, {
      ...cause,
      outcomeKnown: true,
    });
  }
  return new SinkHaltError(`the stream refuses: ${message}`, cause);
}

function isApiAnswer(error: unknown): error is ApiAnswer & Error {
  if (!(error instanceof Error)) return false;
  const { code, status } = error as Error & Partial<ApiAnswer>;
  return typeof code === 'number' && typeof status === 'number';
}

function causeOf(error: unknown): Error | undefined {
  return error instanceof Error && error.cause instanceof Error ? error.cause : undefined;
}

/** `ECONNREFUSED` and similar codes: nothing was sent. */
function socketCodeOf(error: unknown): string | undefined {
  for (const each of [error, causeOf(error)]) {
    const code = (each as { code?: unknown } | undefined)?.code;
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return code;
  }
  return undefined;
}
