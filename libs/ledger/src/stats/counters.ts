import type { LedgerCounters } from '../ports/ledger-stats.interface.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The run's counters, all initially 0; each only grows. @internal */
export class Counters implements Mutable<LedgerCounters> {
  offered = 0;
  queued = 0;
  recovered = 0;
  received = 0;
  dropped = 0;
  sealed = 0;
  invalid = 0;
  written = 0;
  published = 0;
  duplicate = 0;
  deadLettered = 0;
  spilled = 0;
  retries = 0;
  conflicts = 0;
  notStored = 0;
  renewedUuids = 0;
  memoCut = 0;
  attributesDropped = 0;
  unknownFields = 0;
  callbackErrors = 0;
  mapperErrors = 0;
}
