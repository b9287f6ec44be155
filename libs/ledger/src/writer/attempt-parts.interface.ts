import type { Batch } from '../channel/batch.js';
import type { Clock } from '../clock/clock.js';
import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import type { ConnectionLimit } from './connection-limit.js';
import type { FaultJudge } from './fault-judge.js';
import type { Outage } from './outage.js';
import type { Settler } from './settler.js';

/** What whoever makes attempts shares with the others of the ledger. @internal */
export interface AttemptParts {
  readonly sink: LedgerSink;
  readonly outage: Outage;
  readonly judge: FaultJudge;
  readonly connections: ConnectionLimit;
  readonly settler: Settler;
  readonly clock: Clock;
  /** Time limit of an attempt that starts now, in milliseconds. */
  readonly attemptMs: () => number;
  /** Whether rows may be in the table though no attempt of this ledger's wrote them. */
  readonly mayExist: (batch: Batch) => boolean;
  /** Told of each failed attempt. */
  readonly onFailed: (error: unknown, isHalt: boolean) => void;
  /** Told whenever the server answered, unless it refuses every batch. */
  readonly onReached: () => void;
}
