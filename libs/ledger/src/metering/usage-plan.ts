import type { Type } from '@nestjs/common';
import type { UsageRecorder } from '../ports/usage-recorder.interface.js';
import type { ResponseMode } from './response-mode.js';
import type { RecordUsageOptions, UsageCall, UsageGuarantee } from './usage-call.interface.js';
import type { UsageLog } from './usage-log.js';

/** A mapper of any types with its options, as the decorator was given them. @internal */
export interface RecordUsageMetadata {
  readonly mapper: (call: never) => unknown;
  readonly options: RecordUsageOptions;
}

/** All that is known of a method in one application before it is called. @internal */
export interface UsagePlan {
  /** `Class.method`, for the log. */
  readonly handler: string;
  readonly type: Type;
  /** The method as the class has it, which carries the metadata of all its decorators. */
  readonly method: (...args: never[]) => unknown;
  readonly mapper: (call: UsageCall<unknown>) => unknown;
  readonly ledger: UsageRecorder;
  /** What the decorator says; undefined leaves it to the ledger's `overflow`. */
  readonly guarantee: UsageGuarantee | undefined;
  readonly mode: ResponseMode;
  readonly log: UsageLog;
}
