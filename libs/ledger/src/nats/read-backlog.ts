import type { ConsumerInfo, JetStreamManager, StreamInfo } from '@nats-io/jetstream';
import { systemClock as clock } from '../clock/clock.js';
import type { StreamBacklog, UnreadMessages } from '../ports/ledger-stream.interface.js';
import type { ListedConsumers } from './list-consumers.js';
import { checkLeaders, checkStore, isUnread, unfinishedOf } from './store-consumers.js';
import { fingerprintOf, storeOf, subjectsOf } from './stream-config.js';

/** What a backlog is computed from. */
interface StreamContents {
  /** With the messages of each subject. */
  readonly info: StreamInfo;
  readonly consumers: ListedConsumers;
}

/** The messages of a stream that has one store. @internal */
export function backlogOfAll({ info, consumers }: StreamContents): StreamBacklog {
  const unread = Object.entries(info.state.subjects ?? {}).flatMap(([subject, messages]) => {
    const fingerprint = subject.split('.').at(-1)!;
    return consumers.has(fingerprint) ? [] : [{ fingerprint, messages }];
  });
  return { ...whole(info), unread };
}

/** The messages of a stream with several stores that any of them has not finished. @internal */
export function backlogOfStores({ info, consumers }: StreamContents): StreamBacklog {
  return { ...whole(info), unread: unreadOf(answering(consumers)) };
}

/**
 * The messages that one of several stores has not finished. The stream does not count the bytes of
 * a store: they are in proportion to its messages.
 *
 * @throws SinkHaltError if the stream has other stores only; SinkTransientError if a consumer of the store has no
 * leader; the client's errors
 * @internal
 */
export async function backlogOfStore(
  { streams }: JetStreamManager,
  { info, consumers }: StreamContents,
  { ledger, store }: { readonly ledger: string; readonly store: string },
): Promise<StreamBacklog> {
  checkStore(consumers.keys(), info.config.name, store);
  checkLeaders(consumers, store);
  const own = answering(consumers).filter(({ name }) => storeOf(name) === store);
  const open = own.filter((each) => unfinishedOf(each) > 0);
  const messages = open.reduce((sum, each) => sum + unfinishedOf(each), 0);
  const share = info.state.messages === 0 ? 0 : Math.min(1, messages / info.state.messages);
  const times: number[] = [];
  for (const { name, ack_floor: floor } of open) {
    const subject = subjectsOf(ledger).of(fingerprintOf(name));
    const query = { seq: floor.stream_seq + 1, next_by_subj: subject } as { seq: number };
    const oldest = await streams.getMessage(info.config.name, query);
    if (oldest !== null) times.push(+oldest.time);
  }
  const oldestAgeMs = times.length === 0 ? 0 : Math.max(0, clock.now() - Math.min(...times));
  const bytes = Math.round(info.state.bytes * share);
  return { messages, bytes, oldestAgeMs, unread: unreadOf(own) };
}

function answering(consumers: ListedConsumers): ConsumerInfo[] {
  return [...consumers.values()].filter((each) => each !== undefined);
}

function whole({ state }: StreamInfo): Omit<StreamBacklog, 'unread'> {
  const { messages, bytes, first_ts: oldest } = state;
  const oldestAgeMs = messages === 0 ? 0 : Math.max(0, clock.now() - Date.parse(`${oldest}`));
  return { messages, bytes, oldestAgeMs };
}

/** By layout; the most of any store. */
function unreadOf(consumers: readonly ConsumerInfo[]): UnreadMessages[] {
  const most = new Map<string, number>();
  for (const each of consumers.filter(isUnread)) {
    const fingerprint = fingerprintOf(each.name);
    most.set(fingerprint, Math.max(each.num_pending, most.get(fingerprint) ?? 0));
  }
  return [...most].map(([fingerprint, messages]) => ({ fingerprint, messages }));
}
