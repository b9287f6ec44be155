import { JetStreamApiError, type ApiError, type ConsumerInfo } from '@nats-io/jetstream';
import type { NatsSession } from './nats-link.js';

/** Longer than the four seconds for which a server waits for others. */
const ANSWER_MS = 5000;

/**
 * The server's answer, of which the client's own list shows only `consumers`. Source:
 * https://github.com/nats-io/nats-server/blob/v2.15.2/server/jetstream_api.go, `JSApiConsumerListResponse`
 */
interface ConsumerPage {
  readonly error?: ApiError;
  readonly total: number;
  readonly consumers: readonly ConsumerInfo[];
  /** Names of consumers whose leader did not answer the server, for example because it has just died. */
  readonly missing?: readonly string[] | null;
}

/** All consumers of a stream by name; undefined for one that exists and has no leader now. @internal */
export type ListedConsumers = ReadonlyMap<string, ConsumerInfo | undefined>;

/**
 * Lists page by page. A page with missing consumers takes the server four seconds, so none is requested twice.
 *
 * @throws the client's errors
 * @internal
 */
export async function listConsumers(
  { nc }: Pick<NatsSession, 'nc'>,
  stream: string,
): Promise<ListedConsumers> {
  const found = new Map<string, ConsumerInfo | undefined>();
  const subject = `$JS.API.CONSUMER.LIST.${stream}`;
  for (;;) {
    const offset = found.size;
    const answer = await nc.request(subject, JSON.stringify({ offset }), { timeout: ANSWER_MS });
    const { error, total, consumers, missing } = answer.json<ConsumerPage>();
    if (error !== undefined) throw new JetStreamApiError(error);
    for (const name of missing ?? []) found.set(name, undefined);
    for (const each of consumers) found.set(each.name, each);
    if (found.size === offset || found.size >= total) return found;
  }
}
