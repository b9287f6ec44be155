export { kafkaStream } from './create-kafka-stream.js';
export type { KafkaConnection, KafkaSasl, KafkaStreamOptions } from './kafka-stream.options.js';
export type {
  LedgerStream,
  OutgoingMessage,
  StoredMessage,
  StreamBacklog,
  StreamHeaders,
  StreamMessage,
  StreamSafety,
  StreamTopic,
  TakeLimits,
  UnreadMessages,
} from '../ports/ledger-stream.interface.js';
