export { isLedgerError } from '../errors/is-ledger-error.js';
export {
  SinkHaltError,
  SinkRowError,
  SinkTransientError,
  type SinkFailure,
} from '../errors/sink.errors.js';
export type {
  EachRowResult,
  LedgerSink,
  RefusedRow,
  RowBatch,
  WriteAttempt,
  WriteResult,
} from '../ports/ledger-sink.interface.js';
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
export type { UsageReading } from '../ports/usage-reading.interface.js';
export { createRowEncoder, type RowEncoder } from './row-encoder.js';
export { createRowReader, type RowColumn, type RowReader } from './row-reader.js';
export {
  describeSinkConformance,
  type SinkConformanceOptions,
  type SinkLevel,
  type SinkSubject,
  type TestRunner,
} from './sink-conformance.js';
export { rowBatch } from './sink-trial.js';
