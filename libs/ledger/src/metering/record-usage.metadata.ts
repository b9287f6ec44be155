import type { ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { RecordUsageOptions } from './usage-call.interface.js';

/** In the registry, so that a decorator and an interceptor of two copies of the package meet. */
export const RECORD_USAGE = Symbol.for('nestjs-ledger/record-usage');

const reflector = new Reflector();

/** A mapper of any types with its options, as the interceptor finds it. @internal */
export interface RecordUsageMetadata {
  readonly mapper: (call: never) => unknown;
  readonly options: RecordUsageOptions;
}

/** What `@RecordUsage` left on the handler of a context, or on its class. @internal */
export function recordUsageOf(context: ExecutionContext): RecordUsageMetadata | undefined {
  return reflector.getAllAndOverride<RecordUsageMetadata | undefined>(RECORD_USAGE, [
    context.getHandler(),
    context.getClass(),
  ]);
}
