export type { Clock, Timer } from '../clock/clock.js';
export {
  describeSinkConformance,
  type SinkConformanceOptions,
  type SinkLevel,
  type SinkSubject,
  type TestRunner,
} from '../sink-kit/sink-conformance.js';
export {
  describeStreamConformance,
  type StreamConformanceOptions,
  type StreamSubject,
} from '../sink-kit/stream-conformance.js';
export { rowBatch } from '../sink-kit/sink-trial.js';
export { InMemorySink, type HeldWrite, type SinkFault, type WriteCall } from './in-memory.sink.js';
export {
  InMemoryStream,
  type InMemoryStreamOptions,
  type StreamFault,
} from './in-memory.stream.js';
export { LedgerTestingModule, type LedgerTestingOptions } from './ledger-testing.module.js';
export { ManualClock } from './manual-clock.js';
