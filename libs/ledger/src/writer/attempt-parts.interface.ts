import type { Batch } from '../channel/batch.js';
import type { Clock } from '../clock/clock.js';
import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import type { ConnectionLimit } from './connection-limit.js';
import type { FaultJudge } from './fault-judge.js';
import type { Outage } from './outage.js';
import type { Settler } from './settler.js';

/** Dependencies shared by all parts of a ledger that make attempts. @internal */
export interface AttemptParts {
  readonly sink: LedgerSink;
  readonly outage: Outage;
  readonly judge: FaultJudge;
  readonly connections: ConnectionLimit;
  readonly settler: Settler;
  readonly clock: Clock;
  /** Time limit of an attempt that starts now, in milliseconds. */
  readonly attemptMs: () => number;
  /** Whether the table may contain the rows without an attempt by this ledger. */
  readonly mayExist: (batch: Batch) => boolean;
  /** Called after each failed attempt. */
  readonly onFailed: (error: unknown, isHalt: boolean) => void;
  /** Called after each answer of the server, unless it refuses every batch. */
  readonly onReached: () => void;
}
