import { namesIn, type CallUsage } from '@app/openai';
import type { UsageEnd, UsageEntry } from 'nestjs-ledger';
import type { usage } from '../usage.ledger.js';
import { identifyCaller, type Caller, type CallersRequest } from './caller.js';
import type { CallCost, PriceBook } from '../prices/price-book.js';

/** An entry of the gateway's ledger. */
export type CallEntry = UsageEntry<typeof usage>;

/** Nobody sees it but the ledger; nginx has it for a client that left before there was an answer. */
const CLIENT_LEFT = 499;

/** A call that is over. */
export interface EndedCall {
  readonly caller: Caller;
  /** As `endpoints` names it. */
  readonly endpoint: string;
  readonly model: string | null;
  readonly used: CallUsage;
  readonly end: UsageEnd;
  /** When the call came: its price is that of this time. */
  readonly at: Date;
  /** Whether the upstream charged another answer to a call with the same `Idempotency-Key`. */
  readonly isRepetition?: boolean;
}

/**
 * The entry of a call, however it ended. A client that hangs up pays for what the upstream says it
 * used, or else for the prompt and what it was sent. `attributes.counted`: by this gateway's
 * tokenizer, since the upstream did not tell.
 *
 * @param idempotencyKey of an answer that is one entry however often it comes
 */
export function callEntry(call: EndedCall, prices: PriceBook, idempotencyKey?: string): CallEntry {
  return entryOf(call, costOf(call, prices), idempotencyKey);
}

function entryOf(call: EndedCall, cost: CallCost, idempotencyKey?: string): CallEntry {
  const { caller, model, used, end } = call;
  const { promptTokens, completionTokens } = used;
  const attributes = attributesOf(call, idempotencyKey !== undefined);
  const isWhole = end === 'completed' || (end === 'aborted' && used.isComplete);
  return {
    ...caller,
    model,
    promptTokens,
    completionTokens,
    ...cost,
    ...used.details,
    memo: isWhole ? null : end,
    attributes: Object.keys(attributes).length > 0 ? attributes : null,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  };
}

/**
 * What an entry says beside its columns; of usual values nothing. An answer that may come again is
 * known by its own id: that of the request is another one each time.
 */
function attributesOf(call: EndedCall, isKeyed: boolean): Record<string, unknown> {
  const { endpoint, model, used, end, isRepetition } = call;
  const hasAnswerId = isKeyed && used.answerId !== undefined;
  const hasLeft = end === 'aborted' && used.status === 0;
  const status = hasLeft ? CLIENT_LEFT : used.status;
  const isAnswered = status >= 200 && status < 300;
  const attributes = {
    endpoint: endpoint === 'chat' ? undefined : endpoint,
    counted: used.isCounted || undefined,
    status: isAnswered ? undefined : status,
    error: hasLeft ? 'client_left' : used.error,
    repetition: isRepetition || undefined,
    answeredModel: used.model === model ? undefined : used.model,
    serviceTier: used.serviceTier,
    requestId: hasAnswerId ? undefined : used.requestId,
    answerId: hasAnswerId ? used.answerId : undefined,
    ...used.details,
  };
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** By the model that answered, which is the one that the upstream charges, or else the one asked for. */
function costOf({ model, used, at }: EndedCall, prices: PriceBook): CallCost {
  const { promptTokens, completionTokens, details } = used;
  const tokens = { promptTokens, completionTokens, ...details };
  const cost = prices.costOf([used.model, model], tokens, at);
  const isCharged = promptTokens + completionTokens > 0;
  if (cost.costNanos === null && isCharged) prices.unpricedCalls += 1;
  return cost;
}

/** The entry of a call that no upstream was asked for: no tokens, and the status that tells why. */
export function refusedEntry(request: CallersRequest, status: number, end: UsageEnd): CallEntry {
  const { model = null, user } = namesIn(request.body);
  const caller = request.caller ?? identifyCaller(user, request.headers);
  const used = { ...NOTHING_USED, status };
  const call = { caller, endpoint: 'chat', model, used, end, at: new Date() };
  return entryOf(call, { costNanos: model === null ? null : 0n, priceVersion: null });
}

const NOTHING_USED: CallUsage = {
  promptTokens: 0,
  completionTokens: 0,
  details: {},
  isCounted: false,
  status: 0,
  error: 'refused',
  isComplete: false,
  model: undefined,
  serviceTier: undefined,
  requestId: undefined,
  answerId: undefined,
  answeredAt: undefined,
};
