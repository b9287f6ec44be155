export { jetStream } from './create-jet-stream.js';
export type { JetStreamOptions } from './jet-stream.options.js';
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
