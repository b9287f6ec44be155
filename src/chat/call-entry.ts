import { namesIn, type CallUsage } from '@app/openai';
import type { UsageEnd, UsageEntry } from 'nestjs-ledger';
import type { usage } from '../usage.ledger.js';
import { identifyCaller, type Caller, type CallersRequest } from './caller.js';
import { costNanos } from './price-list.js';

/** Nobody sees it but the ledger; nginx has it for a client that left before there was an answer. */
const CLIENT_LEFT = 499;

/**
 * The entry of a call, however it ended. A client that hangs up pays for the prompt and what it was
 * sent. `attributes.counted`: by this gateway's tokenizer, since the upstream did not tell.
 */
export function callEntry(
  caller: Caller,
  model: string | null,
  used: CallUsage,
  end: UsageEnd,
): UsageEntry<typeof usage> {
  const { promptTokens, completionTokens, isCounted } = used;
  const hasLeft = end === 'aborted' && used.status === 0;
  const status = hasLeft ? CLIENT_LEFT : used.status;
  const error = hasLeft ? 'client_left' : used.error;
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
  };
}

/** The entry of a call that no upstream was asked for: no tokens, and the status that tells why. */
export function refusedEntry(
  request: CallersRequest,
  status: number,
  end: UsageEnd,
): UsageEntry<typeof usage> {
  const { model = null, user } = namesIn(request.body);
  const caller = request.caller ?? identifyCaller(user, request.headers.authorization);
  const used = { promptTokens: 0, completionTokens: 0, isCounted: false, status, error: 'refused' };
  return callEntry(caller, model, used, end);
}
