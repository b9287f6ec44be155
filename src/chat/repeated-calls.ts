import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { PriceBook } from '../prices/price-book.js';
import { callEntry, type CallEntry, type EndedCall } from './call-entry.js';

/**
 * Answers that are remembered, those of the last keys: a client repeats a call within minutes. An answer
 * has about 1 KB.
 */
const MAX_ANSWERS = 10_000;
/** Answers to calls of one key. */
const MAX_ANSWERS_OF_KEY = 8;

interface SeenAnswer {
  readonly identity: string | undefined;
  /** Of an answer that was whole: it is booked in the same words when it comes again. */
  readonly entry: CallEntry | undefined;
}

/**
 * Makes the entries of calls that a client repeats with one `Idempotency-Key`. An upstream that honours
 * the key gives the same answer again, which is one entry; from any other the second answer is another
 * charge, and its entry says so. What was broken off or counted need not be the same the second time:
 * it is booked apart.
 *
 * Two answers are the same if they have the same id, or, without one, the upstream's same id of the
 * request, and besides the same time and tokens: some servers give all their answers one id, and a
 * client must not get its second answer for nothing.
 *
 * A whole answer has the same key in every process. That a second one is a repetition is known to the
 * process that had the first one, for its last 10,000 answers.
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
    // Behind all others, since it was the last one asked for.
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

/** By what an answer is known again; undefined if by nothing. */
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
