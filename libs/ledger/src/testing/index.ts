export { InMemorySink, type HeldWrite, type SinkFault, type WriteCall } from './in-memory.sink.js';
export { LedgerTestingModule, type LedgerTestingOptions } from './ledger-testing.module.js';
export { ManualClock } from './manual-clock.js';
export * from './sink-conformance.js';
