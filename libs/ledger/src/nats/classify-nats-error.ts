import { isLedgerError } from '../errors/is-ledger-error.js';
import { SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';

/** Only a person can end these: no right, no such account, no such stream. */
const HALTING = new Set([
  'AuthorizationError',
  'UserAuthenticationExpiredError',
  'PermissionViolationError',
  'StreamNotFoundError',
  'InvalidNameError',
]);
/** The message did not leave, or the server said that it did not take it. */
const KNOWN = new Set(['NoRespondersError', 'JetStreamNotEnabled', 'ConsumerNotFoundError']);

/**
 * Codes of the server's answers.
 * Source: https://github.com/nats-io/nats-server/blob/v2.15.2/server/errors.json
 */
const CODES = {
  /** A limit of the stream, full among them: `maximum bytes exceeded`. */
  storeFailed: 10_077,
  messageTooLarge: 10_054,
  noResources: 10_023,
  storageExceeded: 10_047,
  accountExceeded: 10_002,
} as const;
/** No room: more of it, or a writer that catches up, ends that. */
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
 * What an error of the client or the server means for a message, by its name: names hold across two copies
 * of the client. Texts are the client's and the server's own, which have no values of entries.
 *
 * @internal
 */
export function classifyNatsError(error: unknown): Error {
  if (isLedgerError(error)) return error;
  const { name, message } = error instanceof Error ? error : { name: 'unknown', message: '' };
  const cause = { cause: error };
  if (isApiAnswer(error)) return classifyAnswer(error);
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
  // 503 is a server without a leader, 500 one that failed in the midst of it.
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

/** `ECONNREFUSED` and its like: nothing was sent. */
function socketCodeOf(error: unknown): string | undefined {
  for (const each of [error, causeOf(error)]) {
    const code = (each as { code?: unknown } | undefined)?.code;
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return code;
  }
  return undefined;
}
