import { isLedgerError } from '../errors/is-ledger-error.js';
import { SinkHaltError, SinkTransientError } from '../errors/sink.errors.js';

/**
 * Answers that only a person can resolve: no right, no such login, a topic or a cluster with other
 * settings. Source: https://kafka.apache.org/protocol#protocol_error_codes
 */
const HALTING = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'SECURITY_DISABLED',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_CONFIG',
  'INVALID_PARTITIONS',
  'INVALID_GROUP_ID',
  'INVALID_SESSION_TIMEOUT',
  'INCONSISTENT_GROUP_PROTOCOL',
  'POLICY_VIOLATION',
  'UNSUPPORTED_VERSION',
  'INVALID_RECORD',
]);
/** Codes and texts of the client's own errors of that kind. */
const AUTHENTICATION = 'PLT_KFK_AUTHENTICATION';
const HALTING_CODES = new Set([AUTHENTICATION, 'PLT_KFK_UNSUPPORTED_API']);
/** The client's codes of a connection that was cut, or is silent. */
const CUT_CODES = new Set(['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT']);
const HALTING_TEXTS =
  /^(Broker requires TLS|TLS handshake failed|SASL mechanism \S+ not supported)/;

/** The limit was checked before, so the topic's limit has changed; no batch is at fault. */
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

/** Brokers answer with these before they append anything. */
const NOT_APPENDED = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'BROKER_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'THROTTLING_QUOTA_EXCEEDED',
]);
/** Texts of the client if nothing was sent. */
const NOT_SENT = /^(Connection to \S+ (failed|timed out)|Cannot get a connection|Client is closed)/;

/** The client's text for a topic missing in the cluster. */
const UNKNOWN_TOPIC = /^Unknown topic /;
/** Answers about a topic that a broker does not know by its name, or by its identity. */
const UNKNOWN = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
]);

/** The known parts of an error of the client. */
interface Reason {
  readonly message?: string;
  /** Name of a broker's answer. */
  readonly apiId?: string;
  readonly code?: string;
  readonly errors?: readonly unknown[];
  readonly cause?: unknown;
}

/**
 * Classifies an error of the client or a broker for a message, by names and texts, which are the
 * same in two copies of the client. Texts come from the client and the brokers, and contain no
 * values of entries.
 *
 * @internal
 */
export function classifyKafkaError(error: unknown): Error {
  if (isLedgerError(error)) return error;
  const cause = { cause: error };
  const reasons = [...reasonsOf(error)];
  if (isTooLarge(error)) {
    return new SinkHaltError('the topic takes smaller messages than before', cause);
  }
  const halting = reasons.find(isHalting);
  if (halting !== undefined)
    return new SinkHaltError(`the stream refuses: ${textOf(halting)}`, cause);
  const missing = reasons.find(({ message }) => UNKNOWN_TOPIC.test(message ?? ''));
  if (missing !== undefined) {
    const topic = textOf(missing).replace(UNKNOWN_TOPIC, '').replace(/\.$/, '');
    return new SinkHaltError(
      `there is no topic ${topic}: make it again, or restart a gateway`,
      cause,
    );
  }
  const outcomeKnown = reasons.length > 0 && reasons.every(isKnown);
  const sqlState = reasons.map(socketCodeOf).find((each) => each !== undefined);
  return new SinkTransientError(`the stream does not answer: ${textsOf(reasons)}`, {
    ...{ ...cause, outcomeKnown },
    ...(sqlState === undefined ? {} : { sqlState }),
  });
}

/** Whether a broker gave this answer to the request, or to a part of it. @internal */
export function isAnswer(error: unknown, apiId: string): boolean {
  return [...reasonsOf(error)].some((each) => each.apiId === apiId);
}

/** Whether the limit of a message is lower than when it was read. @internal */
export function isTooLarge(error: unknown): boolean {
  return [...reasonsOf(error)].some(({ apiId }) => TOO_LARGE.has(apiId ?? ''));
}

/** Whether a topic is missing, or another one has its name; a broker may know of neither yet. @internal */
export function isUnknownTopic(error: unknown): boolean {
  return [...reasonsOf(error)].some(
    ({ message, apiId }) => UNKNOWN_TOPIC.test(message ?? '') || UNKNOWN.has(apiId ?? ''),
  );
}

/** Errors without those that only contain others. */
function* reasonsOf(error: unknown): Iterable<Reason> {
  if (!(error instanceof Error)) return;
  const reason = error as Reason;
  if (reason.errors === undefined) yield reason;
  for (const each of reason.errors ?? []) yield* reasonsOf(each);
  if (reason.cause !== undefined && socketCodeOf(reason) === undefined)
    yield* reasonsOf(reason.cause);
}

function isHalting({ apiId, code, message, cause }: Reason): boolean {
  // A connection that is cut during the login is not a refusal.
  if (code === AUTHENTICATION && [...reasonsOf(cause)].some(isCut)) return false;
  return (
    HALTING.has(apiId ?? '') || HALTING_CODES.has(code ?? '') || HALTING_TEXTS.test(message ?? '')
  );
}

function isCut(reason: Reason): boolean {
  return CUT_CODES.has(reason.code ?? '') || socketCodeOf(reason) !== undefined;
}

function isKnown(reason: Reason): boolean {
  if (reason.apiId !== undefined) return NOT_APPENDED.has(reason.apiId);
  return socketCodeOf(reason) === 'ECONNREFUSED' || NOT_SENT.test(reason.message ?? '');
}

/** `ECONNREFUSED` and similar codes, of the error or of its cause. */
function socketCodeOf({ code, cause }: Reason): string | undefined {
  for (const each of [code, (cause as Reason | undefined)?.code]) {
    if (typeof each === 'string' && /^E[A-Z]+$/.test(each)) return each;
  }
  return undefined;
}

function textOf({ message, apiId }: Reason): string {
  return [apiId, message].filter(Boolean).join(': ') || 'no reason';
}

function textsOf(reasons: readonly Reason[]): string {
  return [...new Set(reasons.map(textOf))].slice(0, 3).join('; ') || 'no reason';
}
