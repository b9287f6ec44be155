import type { LedgerService, UsageCall } from 'nestjs-ledger';
import { setTimeout as pause } from 'node:timers/promises';

/** Calls of each kind that are held until `release`; calls beyond them take `QUICK_MS`. */
const HELD = Number(process.env['HELD']);
/** How many calls of a kind are under way at once where the application itself begins them. */
export const CALLERS = Number(process.env['CALLERS']);
/** How long a held call goes on after its release. */
const HELD_MS = { least: 100, spread: 400 };
const QUICK_MS = { least: 20, spread: 80 };

/** What a call fills in for its entry. */
export interface Draft {
  memo?: string;
  completionTokens?: number;
}

export const entryOf = ({ usage, end }: UsageCall) => ({
  userId: 1,
  ...usage,
  attributes: { end },
});

/** Memos of the calls that are under way; the first word of a memo is the kind. */
const open = new Set<string>();
const held = new Map<string, number>();
let released: Promise<void>;
let resolve: () => void;

/** Before an application starts; one runs at a time. */
export function prepare(): void {
  open.clear();
  held.clear();
  released = new Promise<void>((done) => (resolve = done));
}

/** Lets held calls go on. */
export const release = (): void => resolve();

/** How many calls are under way. */
export const underWay = (): number => open.size;

export function begin(memo: string): void {
  open.add(memo);
  process.stdout.write(`begun ${memo}\n`);
}

export function end(memo: string): void {
  open.delete(memo);
  process.stdout.write(`ended ${memo}\n`);
}

/** What a call waits for: its release, or a short time. */
export async function takeTime(memo: string): Promise<void> {
  const [kind] = memo.split(' ');
  const before = held.get(kind!) ?? 0;
  if (before >= HELD) return pause(among(QUICK_MS));
  held.set(kind!, before + 1);
  await released;
  await pause(among(HELD_MS));
}

function among({ least, spread }: { least: number; spread: number }): number {
  return least + Math.random() * spread;
}

/** A call whose decorator records its entry. */
export async function work(memo: string, draft: Draft): Promise<string> {
  begin(memo);
  draft.memo = memo;
  await takeTime(memo);
  draft.completionTokens = 7;
  end(memo);
  return memo;
}

/** A call that records its entry itself. */
export async function workAndRecord(memo: string, ledger: LedgerService): Promise<string> {
  begin(memo);
  await takeTime(memo);
  const outcome = ledger.record({ userId: 1, memo, completionTokens: 7 });
  if (outcome !== 'queued') throw new Error(`${memo}: ${outcome}`);
  end(memo);
  return memo;
}

let last = 0;
/** For calls that nobody outside asks for. */
export const nextMemo = (kind: string): string => `${kind} ${++last}`;
