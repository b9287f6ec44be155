import type { LedgerStats, StreamStats, StreamWaiting } from '../ports/ledger-stats.interface.js';
import type { LedgerMetric } from './ledger-metric.interface.js';

/** Metrics of a stream; absent without one. @internal */
export const STREAM_METRICS: readonly LedgerMetric[] = Object.freeze([
  counter('published_messages_total', 'published_messages', '{message}', {
    help: 'Messages that the stream acknowledged to this process',
    of: ({ published }) => published,
  }),
  counter('published_bytes_total', 'published_bytes', 'By', {
    help: 'Bytes of the messages that the stream acknowledged to this process',
    of: ({ publishedBytes }) => publishedBytes,
  }),
  counter('publish_seconds_total', 'publish', 's', {
    help: 'Time from publishing a message to the answer of the stream, of all messages together',
    of: ({ publishMs }) => publishMs / 1000,
  }),
  counter('redelivered_messages_total', 'redelivered_messages', '{message}', {
    help: 'Messages that this process took and that had been delivered before',
    of: ({ redelivered }) => redelivered,
  }),
  {
    ...named('unacknowledged_messages', 'unacknowledged_messages', '{message}'),
    kind: 'gauge',
    aggregator: 'sum',
    help: 'Messages that this process took and has not finished',
    read: ({ stream }) => (stream === null ? [] : [[stream.unacknowledged]]),
  },
  waiting('waiting_messages', 'waiting_messages', '{message}', {
    help: 'Messages in the stream that no writer has finished, the same for all its processes',
    of: ({ messages }) => messages,
  }),
  waiting('waiting_bytes', 'waiting_bytes', 'By', {
    help: 'Bytes of the messages in the stream, the same for all its processes',
    of: ({ bytes }) => bytes,
  }),
  waiting('oldest_message_age_seconds', 'oldest_message_age', 's', {
    help: 'Age of the oldest message in the stream, 0 if there is none',
    of: ({ oldestAgeMs }) => oldestAgeMs / 1000,
  }),
  waiting('unread_messages', 'unread_messages', '{message}', {
    help: 'Messages in the stream whose columns no running writer has',
    of: ({ unread }) => unread,
  }),
] satisfies LedgerMetric[]);

interface Described<Figures> {
  readonly help: string;
  readonly of: (figures: Figures) => number;
}

function named(name: string, instrument: string, unit: string) {
  return { name: `ledger_stream_${name}`, instrument: `ledger.stream.${instrument}`, unit };
}

function counter(
  name: string,
  instrument: string,
  unit: string,
  { help, of }: Described<StreamStats>,
): LedgerMetric {
  const read = ({ stream }: LedgerStats): [number][] => (stream === null ? [] : [[of(stream)]]);
  return { ...named(name, instrument, unit), kind: 'counter', aggregator: 'sum', help, read };
}

/** Figures that are equal in all processes of a stream: a sum would count them once for each. */
function waiting(
  name: string,
  instrument: string,
  unit: string,
  { help, of }: Described<StreamWaiting>,
): LedgerMetric {
  const read = ({ stream }: LedgerStats): [number][] =>
    stream?.waiting == null ? [] : [[of(stream.waiting)]];
  return { ...named(name, instrument, unit), kind: 'gauge', aggregator: 'max', help, read };
}
