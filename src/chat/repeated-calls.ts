import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { PriceBook } from '../prices/price-book.js';
import { callEntry, type CallEntry, type EndedCall } from './call-entry.js';

/**
 * Remembered answers, those of the latest keys: a client repeats a call within minutes. An answer
 * takes about 1 KB.
 */
const MAX_ANSWERS = 10_000;
/** Answers to calls of one key. */
const MAX_ANSWERS_OF_KEY = 8;

interface SeenAnswer {
  readonly identity: string | undefined;
  /** Entry of a complete answer; a repetition is recorded with the same values. */
  readonly entry: CallEntry | undefined;
}

/**
 * Makes the entries of calls that a client repeats with one `Idempotency-Key`. An upstream that
 * supports the key returns the same answer again, which is one entry. From any other upstream the
 * second answer is another charge, and its entry is marked so. An interrupted or counted answer may
 * differ the second time, so it is recorded separately.
 *
 * Two answers are the same if they have the same id, or, without one, the upstream's same id of the
 * request, and also the same time and tokens: some servers give all their answers one id, and a
 * client must not get its second answer for nothing.
 *
 * A complete answer has the same key in every process. Only the process that had the first answer
 * recognises a second one as a repetition, for its last 10,000 answers.
 */
@Injectable()
export class RepeatedCalls {
  private readonly seen = new Map<string, readonly SeenAnswer[]>();
  private answers = 0;

  constructor(private readonly prices: PriceBook) {}

  /** @param clientKey the client's `Idempotency-Key` */
  entryOf(call: EndedCall, clientKey: string | string[] | undefined): CallEntry {
    const { used, caller } = call;
    const isFree = used.promptTokens + used.completionTokens === 0;
    if (typeof clientKey !== 'string' || clientKey === '' || isFree)
      return callEntry(call, this.prices);
    const scoped = digestOf([caller.userId, caller.apiKeyId ?? '', clientKey]);
    const identity = identityOf(call);
    const answers = this.seen.get(scoped) ?? [];
    const same = answers.find((answer) => answer.entry && answer.identity === identity);
    if (same?.entry && identity !== undefined) return same.entry;
    const key = identity && isWhole(call) ? digestOf([scoped, identity]) : undefined;
    const entry = callEntry({ ...call, isRepetition: answers.length > 0 }, this.prices, key);
    const seen = { identity, entry: key === undefined ? undefined : entry };
    this.remember(scoped, [...answers, seen]);
    return entry;
  }

  private remember(scoped: string, answers: readonly SeenAnswer[]): void {
    this.forget(scoped);
    // Moved to the end, because it was used last.
    const kept = answers.slice(-MAX_ANSWERS_OF_KEY);
    this.seen.set(scoped, kept);
    this.answers += kept.length;
    for (const oldest of this.seen.keys()) {
      if (this.answers <= MAX_ANSWERS) return;
      this.forget(oldest);
    }
  }

  private forget(scoped: string): void {
    this.answers -= this.seen.get(scoped)?.length ?? 0;
    this.seen.delete(scoped);
  }
}

/** The identity of an answer; undefined if it has none. */
function identityOf({ used }: EndedCall): string | undefined {
  const id = used.answerId ?? used.requestId;
  if (id === undefined) return undefined;
  return JSON.stringify([id, used.answeredAt, used.promptTokens, used.completionTokens]);
}

function isWhole({ used, end }: EndedCall): boolean {
  const isOver = end === 'completed' || used.isComplete;
  return isOver && used.status === 200 && !used.isCounted && used.error === undefined;
}

function digestOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
