import { LedgerService, type UsageCall } from 'nestjs-ledger';
import { setTimeout as pause } from 'node:timers/promises';

/** Long enough for a stop to come in between, and never the same. */
const WORK_MS = { least: 100, spread: 200 };

/** What a call fills in for its entry. */
export interface Draft {
  memo?: string;
  completionTokens?: number;
}

/** Calls of this process by the memo of their entry, in the order in which they began and ended. */
export const begun: string[] = [];
export const ended: string[] = [];

export const workMs = (): number => WORK_MS.least + Math.random() * WORK_MS.spread;

export const entryOf = ({ usage, end }: UsageCall) => ({
  userId: 1,
  ...usage,
  attributes: { end },
});

export function begin(memo: string): void {
  begun.push(memo);
  process.stdout.write(`begun ${memo}\n`);
}

/** A call whose decorator records its entry. */
export async function work(memo: string, draft: Draft): Promise<string> {
  begin(memo);
  draft.memo = memo;
  await pause(workMs());
  draft.completionTokens = 7;
  ended.push(memo);
  return memo;
}

/** A call that records its entry itself. */
export async function workAndRecord(memo: string, ledger: LedgerService): Promise<string> {
  begin(memo);
  await pause(workMs());
  const outcome = ledger.record({ userId: 1, memo, completionTokens: 7 });
  if (outcome !== 'queued') throw new Error(`${memo}: ${outcome}`);
  ended.push(memo);
  return memo;
}

let last = 0;
/** For calls that nobody outside asks for. */
export const nextMemo = (kind: string): string => `${kind} ${++last}`;
