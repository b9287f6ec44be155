import type { UsageCall, UsageEntry } from 'nestjs-ledger';
import type { usage } from '../usage.ledger.js';
import { costNanos } from './price-list.js';

type Ledger = typeof usage;

/**
 * Makes the entry of a call from what its handler wrote down, however the call ended: a client that
 * hangs up in the middle of a stream pays for what was made until then. Null for a call that was
 * refused before it reached the handler.
 */
export function entryOfCall({
  usage: draft,
  end,
}: UsageCall<unknown, Ledger>): UsageEntry<Ledger> | null {
  if (draft.userId === undefined || draft.promptTokens == null) return null;
  const { promptTokens, completionTokens } = draft;
  return {
    ...draft,
    userId: draft.userId,
    costNanos: costNanos(draft.model ?? '', promptTokens, completionTokens ?? 0),
    memo: end === 'completed' ? null : end,
  };
}
