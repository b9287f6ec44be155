import { createHash } from 'node:crypto';
import { namesIn, type CallUsage } from '@app/openai';
import type { UsageEnd, UsageEntry } from 'nestjs-ledger';
import type { usage } from '../usage.ledger.js';
import { identifyCaller, type Caller, type CallersRequest } from './caller.js';
import { costNanos } from './price-list.js';

/** Nobody sees it but the ledger; nginx has it for a client that left before there was an answer. */
const CLIENT_LEFT = 499;

/** A call that is over, or that nobody waits for any more. */
export interface MeteredCall {
  readonly caller: Caller;
  readonly model: string | null;
  readonly used: CallUsage;
  readonly end: UsageEnd;
  /** The client's `Idempotency-Key`. */
  readonly clientKey: string | undefined;
}

/**
 * The entry of a call, however it ended. A client that hangs up pays for the prompt and what it was
 * sent. `attributes.counted`: by this gateway's tokenizer, since the upstream did not tell.
 */
export function callEntry({
  caller,
  model,
  used,
  end,
  clientKey,
}: MeteredCall): UsageEntry<typeof usage> {
  const { promptTokens, completionTokens, isCounted } = used;
  const hasLeft = end === 'aborted' && used.status === 0;
  const status = hasLeft ? CLIENT_LEFT : used.status;
  const error = hasLeft ? 'client_left' : used.error;
  const key = keyOf({ caller, model, used, end, clientKey });
  const isAnswered = status >= 200 && status < 300;
  const attributes = {
    ...(isCounted ? { counted: true } : {}),
    ...(isAnswered ? {} : { status }),
    ...(error === undefined ? {} : { error }),
  };
  return {
    ...caller,
    model,
    promptTokens,
    completionTokens,
    costNanos: model && costNanos(model, promptTokens, completionTokens),
    memo: end === 'completed' ? null : end,
    attributes: Object.keys(attributes).length > 0 ? attributes : null,
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
}

/**
 * A client that repeats a call under its `Idempotency-Key` and gets the same answer again has used the
 * tokens once. Another answer has another id: the upstream has worked twice, and both calls count. So
 * does what was broken off or counted here, which need not be the same the second time.
 */
function keyOf({ used, end, clientKey }: MeteredCall): string | undefined {
  const { status, answerId, isCounted, error } = used;
  const isWhole = end === 'completed' && status === 200 && !isCounted && error === undefined;
  if (!isWhole || !clientKey || answerId === undefined) return undefined;
  return createHash('sha256')
    .update(JSON.stringify([clientKey, answerId]))
    .digest('hex');
}

/** The entry of a call that no upstream was asked for: no tokens, and the status that tells why. */
export function refusedEntry(
  request: CallersRequest,
  status: number,
  end: UsageEnd,
): UsageEntry<typeof usage> {
  const { model = null, user } = namesIn(request.body);
  const caller = request.caller ?? identifyCaller(user, request.headers);
  const nothing = { promptTokens: 0, completionTokens: 0, isCounted: false, answerId: undefined };
  const used = { ...nothing, status, error: 'refused' };
  return callEntry({ caller, model, used, end, clientKey: undefined });
}
