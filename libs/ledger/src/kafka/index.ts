export { kafkaStream } from './create-kafka-stream.js';
export type { KafkaConnection, KafkaSasl, KafkaStreamOptions } from './kafka-stream.options.js';
export type {
  LedgerStream,
  OutgoingMessage,
  StreamBacklog,
  StreamHeaders,
  StreamMessage,
  StreamTopic,
  TakeLimits,
  UnreadMessages,
} from '../ports/ledger-stream.interface.js';
