import type { Type } from '@nestjs/common';
import type { UsageRecorder } from '../ports/usage-recorder.interface.js';
import type { ResponseMode } from './response-mode.js';
import type { RecordUsageOptions, UsageCall, UsageGuarantee } from './usage-call.interface.js';
import type { UsageLog } from './usage-log.js';

/** The decorator's arguments: a mapper of any types, and its options. @internal */
export interface RecordUsageMetadata {
  readonly mapper: (call: never) => unknown;
  readonly options: RecordUsageOptions;
}

/** The facts about a method in one application before its calls. @internal */
export interface UsagePlan {
  /** `Class.method`, for the log. */
  readonly handler: string;
  readonly type: Type;
  /** The class's method, which has the metadata of all its decorators. */
  readonly method: (...args: never[]) => unknown;
  readonly mapper: (call: UsageCall<unknown>) => unknown;
  readonly ledger: UsageRecorder;
  /** The decorator's option; undefined: depends on the ledger's `overflow`. */
  readonly guarantee: UsageGuarantee | undefined;
  readonly mode: ResponseMode;
  readonly log: UsageLog;
}
