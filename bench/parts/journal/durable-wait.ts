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
const PER_SECOND = 50_000;
const QUICK_PER_SECOND = 10_000;

/** How long callers wait until their entry is durable; no database stands behind. */
export async function measureDurableWaits(bench: Bench): Promise<void> {
  const contenders = CONTENDERS.map(([name, sync]) => {
    const input: DurableInput = { sync };
    return { name, child: new Child('durable', input) };
  });
  for (const { child } of contenders) await child.next();
  const turns = contenders.map(({ name, child }) => (isCounted: boolean) => {
    return once(bench, { name, child, isCounted });
  });
  await takeTurns(bench.rounds, turns);
  for (const { child } of contenders) {
    child.send({ isOver: true });
    await child.end();
  }
}

async function once(
  { figures, isQuick }: Bench,
  { name, child, isCounted }: { name: string; child: Child; isCounted: boolean },
): Promise<void> {
  const perSecond = isQuick ? QUICK_PER_SECOND : PER_SECOND;
  const order: DurableOrder = { perSecond, seconds: isQuick ? 0.3 : 2 };
  child.send(order);
  const { p50, p99, faults } = await child.next<DurableReport>();
  if (faults > 0) throw new Error(`void turn: ${faults} entries were not durable by ${name}`);
  if (!isCounted) return;
  const group = `durable, ${perSecond.toLocaleString('en-US')} entries/s`;
  const key = { group, contender: name, setting: '' };
  figures.add({ ...key, metric: 'wait p50', unit: 'ms' }, p50);
  figures.add({ ...key, metric: 'wait p99', unit: 'ms' }, p99);
}
