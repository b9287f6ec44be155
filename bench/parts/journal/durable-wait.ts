import type { DurableInput, DurableOrder, DurableReport } from '../../processes/durable.process.js';
import { Child } from '../../setup/child.js';
import { takeTurns } from '../../setup/figures.js';
import type { Bench } from '../part.js';

const CONTENDERS = [
  ['turn', 'turn'],
  ['entry', 'entry'],
  ['power', 'power'],
  ['a bare write and fdatasync', 'bare'],
] as const;
/** Entries a second: a rate that leaves the core idle time, and one that uses most of it. */
const RATES = [5000, 50_000];

/** The wait of callers until their entry is durable, without a database. */
export async function measureDurableWaits(bench: Bench): Promise<void> {
  const contenders = CONTENDERS.map(([name, sync]) => {
    const input: DurableInput = { sync };
    return { name, child: new Child('durable', input) };
  });
  for (const { child } of contenders) await child.next();
  const turns = (bench.isQuick ? RATES.slice(0, 1) : RATES).flatMap((perSecond) =>
    contenders.map((contender) => (isCounted: boolean) => {
      return once(bench, { ...contender, perSecond, isCounted });
    }),
  );
  await takeTurns(bench.rounds, turns);
  for (const { child } of contenders) {
    child.send({ isOver: true });
    await child.end();
  }
}

interface Turn {
  readonly name: string;
  readonly child: Child;
  readonly perSecond: number;
  readonly isCounted: boolean;
}

async function once({ figures, isQuick }: Bench, turn: Turn): Promise<void> {
  const { name, child, perSecond, isCounted } = turn;
  const order: DurableOrder = { perSecond, seconds: isQuick ? 0.3 : 2 };
  child.send(order);
  const { p50, p99, faults } = await child.next<DurableReport>();
  if (!isCounted) return;
  // A machine that is too slow for the rate falls behind, and callers give up.
  if (faults > 0) {
    figures.notes.push(`${name}, ${perSecond}/s: ${faults} entries were not durable in time`);
  }
  const group = `durable, ${perSecond.toLocaleString('en-US')} entries/s`;
  const key = { group, contender: name, setting: '' };
  figures.add({ ...key, metric: 'wait p50', unit: 'ms' }, p50);
  figures.add({ ...key, metric: 'wait p99', unit: 'ms' }, p99);
}
