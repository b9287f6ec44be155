import { rm } from 'node:fs/promises';
import type { LoadOrder, LoadReport } from '../../processes/load.process.js';
import type { RouteInput } from '../../processes/route.process.js';
import { Child } from '../../setup/child.js';
import { emptyEntries } from '../../setup/empty-entries.js';
import { takeTurns } from '../../setup/figures.js';
import { makeJournalDir } from '../../setup/memory-ledger.js';
import type { Bench } from '../part.js';

const PATH = '/decorated';
const CONTENDERS = ['no journal', 'held until durable', 'no journal, again'] as const;
const SECONDS = 2;
const QUICK_SECONDS = 0.3;

interface Contender {
  readonly name: string;
  readonly server: Child;
  readonly url: string;
}

/** A response that waits for the journal, at half the rate that the route reaches without one. */
export async function measureHeldResponses(bench: Bench): Promise<void> {
  const journalDir = makeJournalDir();
  const contenders: Contender[] = [];
  for (const name of bench.isQuick ? CONTENDERS.slice(0, 2) : CONTENDERS) {
    const isHeld = name === 'held until durable';
    const input: RouteInput = {
      url: bench.database.url,
      journalDir: isHeld ? journalDir : undefined,
    };
    const server = new Child('route', input);
    const { url } = await server.next<{ url: string }>();
    contenders.push({ name, server, url });
  }
  const load = new Child('load', {});
  const seconds = bench.isQuick ? QUICK_SECONDS : SECONDS;
  const perSecond = Math.round((await topRate(bench, load, contenders[0]!)) / 2);
  const turns = contenders.map(({ name, url }) => async (isCounted: boolean) => {
    const { p50, p99 } = await ask(load, { url, path: PATH, seconds, perSecond });
    if (!isCounted) return;
    const key = { group: 'a response, half the top rate', contender: name, setting: '' };
    bench.figures.add({ ...key, metric: 'p50', unit: 'ms' }, p50);
    bench.figures.add({ ...key, metric: 'p99', unit: 'ms' }, p99);
  });
  await takeTurns(bench.rounds, turns);
  for (const child of [load, ...contenders.map(({ server }) => server)]) {
    child.send({ isOver: true });
    await child.end();
  }
  await emptyEntries(bench.database.admin, 'public.usage_entries');
  await rm(journalDir, { recursive: true, force: true });
}

/** Excludes the compilation of a new process. */
async function topRate({ isQuick }: Bench, load: Child, { url }: Contender): Promise<number> {
  // autocannon counts whole seconds.
  const order = { url, path: PATH, perSecond: 0, seconds: 1 };
  if (!isQuick) await ask(load, { ...order, seconds: SECONDS });
  return (await ask(load, order)).perSecond;
}

/** @throws Error if a request had no answer */
async function ask(load: Child, order: LoadOrder): Promise<LoadReport> {
  load.send(order);
  const report = await load.next<LoadReport>();
  if (report.others > 0) throw new Error(`void turn: ${report.others} questions without an answer`);
  return report;
}
