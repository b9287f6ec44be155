import {
  AckPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import { SinkHaltError } from '../errors/sink.errors.js';
import type { ResolvedJetStreamOptions } from './jet-stream.options.js';

/** Error of a server that stands alone and is asked for more than one copy. */
const NOT_CLUSTERED = 10_074;
/** Errors of a second process that made the stream or the consumer at the same time. */
const IN_USE: ReadonlySet<unknown> = new Set([10_058, 10_013, 10_148]);
/** Messages of one layout that all writers together may have at once. */
const MOST_UNACKNOWLEDGED = 20_000;

/** Subjects of a ledger's messages. @internal */
export function subjectsOf(ledger: string): { all: string; of: (fingerprint: string) => string } {
  return { all: `ledger.${ledger}.*`, of: (fingerprint) => `ledger.${ledger}.${fingerprint}` };
}

/**
 * Finds the stream, or makes it. One that is there is left as it is, unless it could lose a message.
 *
 * @throws SinkHaltError if it does not fit, or is not there and is not to be made; the client's errors
 * @internal
 */
export async function ensureStream(
  { streams }: JetStreamManager,
  name: string,
  ledger: string,
  options: ResolvedJetStreamOptions,
): Promise<StreamInfo> {
  const subject = subjectsOf(ledger).all;
  try {
    return checked(await streams.info(name), name, subject);
  } catch (error) {
    if (!isNotFound(error) || !options.create) throw error;
  }
  const { maxBytes, replicas } = options;
  try {
    return await streams.add({
      name,
      subjects: [subject],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      storage: StorageType.File,
      max_bytes: maxBytes,
      num_replicas: replicas,
    });
  } catch (error) {
    if (codeOf(error) === NOT_CLUSTERED) {
      throw new SinkHaltError(
        `the server stands alone and can't keep ${replicas} copies: set replicas: 1, or name a cluster`,
        { cause: error },
      );
    }
    if (!IN_USE.has(codeOf(error))) throw error;
    return checked(await streams.info(name), name, subject);
  }
}

function checked(info: StreamInfo, name: string, subject: string): StreamInfo {
  const { retention, discard, subjects } = info.config;
  if (retention !== RetentionPolicy.Workqueue) {
    throw unfit(name, `has the retention ${retention}`, 'workqueue');
  }
  if (discard !== DiscardPolicy.New) {
    throw unfit(name, `discards ${discard} messages when it is full`, 'discard: new');
  }
  if (!subjects.some((each) => each === subject || each === '>' || each === 'ledger.>')) {
    throw unfit(name, `does not take ${subject}`, `the subject ${subject}`);
  }
  return info;
}

function unfit(name: string, what: string, needed: string): SinkHaltError {
  return new SinkHaltError(`the stream ${name} ${what}: entries would be lost; it needs ${needed}`);
}

/** Makes the one consumer that all writers of a layout share. @throws the client's errors @internal */
export async function ensureConsumer(
  { consumers }: JetStreamManager,
  stream: string,
  ledger: string,
  { fingerprint, ackWaitMs }: { readonly fingerprint: string; readonly ackWaitMs: number },
): Promise<void> {
  try {
    await consumers.add(stream, {
      durable_name: fingerprint,
      filter_subject: subjectsOf(ledger).of(fingerprint),
      ack_policy: AckPolicy.Explicit,
      ack_wait: ackWaitMs * 1_000_000,
      max_ack_pending: MOST_UNACKNOWLEDGED,
    });
  } catch (error) {
    if (!IN_USE.has(codeOf(error))) throw error;
  }
}

/** @internal */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'StreamNotFoundError';
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}
