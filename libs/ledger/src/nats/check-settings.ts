import {
  AckPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import { SinkHaltError } from '../errors/sink.errors.js';
import type { ResolvedJetStreamOptions } from './jet-stream.options.js';

/** With less, a row with a long memo would be too large for any message, and become a dead letter. */
const LEAST_MESSAGE_BYTES = 16_384;

/** What is wrong with a setting, and the value it needs. */
type Fault = readonly [what: string, needed: string];

/** @returns the stream @throws SinkHaltError that names what it needs, if it could lose messages @internal */
export function checkStream(
  info: StreamInfo,
  subject: string,
  asked: ResolvedJetStreamOptions['retention'],
): StreamInfo {
  const { name, retention, subjects } = info.config;
  const fail = ([what, needed]: Fault): never => {
    const text = `the stream ${name} ${what}: entries would be lost; it needs ${needed}`;
    throw new SinkHaltError(text);
  };
  if (retention === RetentionPolicy.Limits) fail([`has the retention ${retention}`, asked]);
  if (retention !== asked) {
    throw new SinkHaltError(
      `the stream ${name} has the retention ${retention}, and this process asks for ${asked}: set ` +
        `retention: '${retention}' in all processes, or let the writers finish, delete the stream ` +
        'and restart a gateway',
    );
  }
  if (!subjects.some((each) => each === subject || each === '>' || each === 'ledger.>')) {
    fail([`does not take ${subject}`, `the subject ${subject}`]);
  }
  const fault = faultOf(info.config);
  if (fault !== undefined) fail(fault);
  return info;
}

/** Source: https://docs.nats.io/nats-concepts/jetstream/streams, and `StreamConfig` of nats-server's stream.go. */
function faultOf(config: StreamConfig): Fault | undefined {
  const { discard, max_age: age, max_msg_size: size, max_msgs_per_subject: perSubject } = config;
  if (discard !== DiscardPolicy.New) {
    return [`discards ${discard} messages when it is full`, 'discard: new'];
  }
  if (config.storage !== StorageType.File) return ['keeps messages in memory', 'storage: file'];
  if (age > 0) return [`deletes messages after ${age / 1e9} s`, 'max_age: 0'];
  if (perSubject > 0 && config.discard_new_per_subject !== true) {
    return [`keeps ${perSubject} messages of each subject`, 'max_msgs_per_subject: -1'];
  }
  if (config.no_ack) return ['does not acknowledge messages', 'no_ack: false'];
  if (size > 0 && size < LEAST_MESSAGE_BYTES) {
    return [`takes no message above ${size} bytes`, `max_msg_size: ${LEAST_MESSAGE_BYTES} or more`];
  }
  if (config.subject_transform !== undefined) {
    return ['stores messages under other subjects', 'no subject_transform'];
  }
  if ((config.consumer_limits?.inactive_threshold ?? 0) > 0) {
    return ['deletes the consumers of idle writers', 'no inactive_threshold in consumer_limits'];
  }
  return undefined;
}

/** @throws SinkHaltError that names what an existing consumer needs, if it could withhold messages @internal */
export function checkConsumer(config: ConsumerConfig, name: string, stream: string): void {
  const fault = consumerFaultOf(config);
  if (fault === undefined) return;
  const [what, needed] = fault;
  const text = `the consumer ${name} of the stream ${stream} ${what}: entries would be missing`;
  throw new SinkHaltError(`${text}; it needs ${needed}`);
}

function consumerFaultOf(config: ConsumerConfig): Fault | undefined {
  const { max_deliver: deliveries = -1, inactive_threshold: idle = 0 } = config;
  if (config.deliver_subject !== undefined) return ['pushes its messages', 'no deliver_subject'];
  if (config.ack_policy !== AckPolicy.Explicit) {
    return [`has the ack_policy ${config.ack_policy}`, 'ack_policy: explicit'];
  }
  if (deliveries > 0) return [`delivers a message ${deliveries} times at most`, 'max_deliver: -1'];
  if (idle > 0) return ['is deleted while writers are away', 'no inactive_threshold'];
  if (config.headers_only === true) return ['delivers no contents', 'headers_only: false'];
  return undefined;
}
