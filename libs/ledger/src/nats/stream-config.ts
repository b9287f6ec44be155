import {
  AckPolicy,
  DiscardPolicy,
  StorageType,
  type ConsumerInfo,
  type JetStreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import { SinkHaltError } from '../errors/sink.errors.js';
import { checkStream } from './check-settings.js';
import type { ResolvedJetStreamOptions } from './jet-stream.options.js';

/** Error of a single server that is asked for more than one copy. */
const NOT_CLUSTERED = 10_074;
/** Errors if a second process made the stream or the consumer at the same time. */
const IN_USE: ReadonlySet<unknown> = new Set([10_058, 10_013, 10_148]);
/** Maximum unacknowledged messages of one layout over all writers. */
const MOST_UNACKNOWLEDGED = 20_000;

/** Subjects of a ledger's messages. @internal */
export function subjectsOf(ledger: string): { all: string; of: (fingerprint: string) => string } {
  return { all: `ledger.${ledger}.*`, of: (fingerprint) => `ledger.${ledger}.${fingerprint}` };
}

/** Name of the consumer of a layout. @param store undefined: the stream has one store @internal */
export function consumerOf(fingerprint: string, store: string | undefined): string {
  return store === undefined ? fingerprint : `${store}-${fingerprint}`;
}

/** The layout that a consumer reads. @internal */
export function fingerprintOf(consumer: string): string {
  return consumer.slice(consumer.lastIndexOf('-') + 1);
}

/** The store that a consumer belongs to; undefined: its stream has one store. @internal */
export function storeOf(consumer: string): string | undefined {
  const end = consumer.lastIndexOf('-');
  return end <= 0 ? undefined : consumer.slice(0, end);
}

/**
 * Finds the stream, or makes it. An existing one is not changed, but it must not lose messages.
 *
 * @throws SinkHaltError if it does not fit, or is missing and may not be made; the client's errors
 * @internal
 */
export async function ensureStream(
  { streams }: JetStreamManager,
  name: string,
  ledger: string,
  options: ResolvedJetStreamOptions,
): Promise<StreamInfo> {
  const subject = subjectsOf(ledger).all;
  const { retention } = options;
  try {
    return checkStream(await streams.info(name), subject, retention);
  } catch (error) {
    if (!isNotFound(error) || !options.create) throw error;
  }
  const { maxBytes, replicas } = options;
  try {
    return await streams.add({
      name,
      subjects: [subject],
      retention,
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
    return checkStream(await streams.info(name), subject, retention);
  }
}

/** Description of a store's consumer once a writer reads it: gateways make them without. */
export const READ = 'read by a writer';

/** Which consumer to make. @internal */
export interface LayoutConsumer {
  readonly fingerprint: string;
  readonly ackWaitMs: number;
  /** One of several stores; undefined: the stream has one. */
  readonly store: string | undefined;
  /** Default: none. */
  readonly description?: string;
}

/**
 * Makes the consumer shared by all writers of a layout and a store. One that exists gets the
 * description, if one is given, and keeps its other settings on servers from 2.10 on.
 *
 * @returns the consumer; undefined if one with other settings exists
 * @throws the client's errors
 * @internal
 */
export async function ensureConsumer(
  { consumers }: JetStreamManager,
  stream: string,
  ledger: string,
  { fingerprint, ackWaitMs, store, description }: LayoutConsumer,
): Promise<ConsumerInfo | undefined> {
  const name = consumerOf(fingerprint, store);
  const described = description === undefined ? {} : { description };
  try {
    return await consumers.add(stream, {
      durable_name: name,
      filter_subject: subjectsOf(ledger).of(fingerprint),
      ack_policy: AckPolicy.Explicit,
      ack_wait: ackWaitMs * 1_000_000,
      max_ack_pending: MOST_UNACKNOWLEDGED,
      ...described,
    });
  } catch (error) {
    if (!IN_USE.has(codeOf(error))) throw error;
    return description === undefined ? undefined : consumers.update(stream, name, described);
  }
}

/** @internal */
export function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'StreamNotFoundError';
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}
