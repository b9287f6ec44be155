import { setTimeout as delay } from 'node:timers/promises';
import { emptyEntries } from '../setup/empty-entries.js';
import { Child } from '../setup/child.js';
import { takeTurns } from '../setup/figures.js';
import type { GatewayInput } from '../processes/gateway.process.js';
import type { LoadOrder, LoadReport } from '../processes/load.process.js';
import type { Bench, Part } from './part.js';

interface Contender {
  readonly name: string;
  readonly isWritten: boolean;
  readonly gateway: Child;
  readonly url: string;
}

/** Long enough for requests under way at the end of the load. */
const ANSWERED_MS = 100;

/** Of a turn, including the first, in which the compiler works. */
const SECONDS = 3;
/** A request a second for each connection of the load. */
const LEAST_RATE = 32;
const PAIR_GROUP = 'an eighth of the top rate, through and directly';
const DIRECT_AND_THROUGH = ['an upstream directly', 'the gateway in front of it'] as const;

const QUICK_CONTENDERS = [
  ['ledger on', 'on'],
  ['ledger off', 'off'],
] as const;

const CONTENDERS = [
  ...QUICK_CONTENDERS,
  ['awaited INSERT per request', 'insert'],
  ['ledger off, again', 'off'],
  ['ledger off, an empty interceptor', 'empty'],
  ['ledger on, recorded by the handler', 'handler'],
  ['the same with a journal', 'journaled'],
] as const;

/** The gateway with and without the ledger, under load from another process. */
export const http: Part = {
  name: 'http',
  title: 'The gateway over HTTP',
  async run(bench) {
    const contenders: Contender[] = [];
    // The one with the ledger first: it creates the table that the awaited INSERT needs.
    for (const [name, mode] of bench.isQuick ? QUICK_CONTENDERS : CONTENDERS) {
      contenders.push(await start(bench, name, mode));
    }
    const load = new Child('load', {});
    const top = await rounds(bench, load, contenders, 0);
    const half = Math.round((top.get('ledger off')?.perSecond ?? 0) / 2);
    if (!bench.isQuick) {
      await rounds(bench, load, contenders, half);
      contenders.push(await comparePair(bench, load, contenders, half / 4));
    }
    load.send({ isOver: true });
    await load.end();
    // The front one first: its connections would keep the other open.
    for (const { gateway } of contenders.toReversed()) {
      gateway.send({ isOver: true });
      await gateway.end();
    }
  },
};

/**
 * The same server called directly and through a gateway, at a rate that leaves both idle time.
 * @returns the gateway in front
 */
async function comparePair(
  bench: Bench,
  load: Child,
  contenders: readonly Contender[],
  perSecond: number,
): Promise<Contender> {
  const direct = contenders.find(({ name }) => name === 'ledger off')!;
  const through = await start(bench, DIRECT_AND_THROUGH[1], 'on', direct.url);
  const pair = [{ ...direct, name: DIRECT_AND_THROUGH[0] }, through];
  // The first request loads the tokenizer's tables, which a single round would measure.
  await once(bench, load, through, { perSecond: LEAST_RATE, seconds: 2, isCounted: false });
  await rounds(bench, load, pair, Math.max(LEAST_RATE, Math.round(perSecond)));
  return through;
}

async function start(
  bench: Bench,
  name: string,
  mode: GatewayInput['mode'],
  upstream?: string,
): Promise<Contender> {
  const input: GatewayInput = { url: bench.database.url, mode, upstream };
  const gateway = new Child('gateway', input);
  const { url } = await gateway.next<{ url: string }>();
  return { name, isWritten: mode !== 'off' && mode !== 'empty', gateway, url };
}

/** @param perSecond 0: as fast as they answer @returns each one's report of the last round */
async function rounds(
  bench: Bench,
  load: Child,
  contenders: readonly Contender[],
  perSecond: number,
): Promise<Map<string, LoadReport>> {
  const reports = new Map<string, LoadReport>();
  const turns = contenders.map((contender) => async (isCounted: boolean) => {
    const seconds = bench.isQuick ? 1 : SECONDS;
    const report = await once(bench, load, contender, { perSecond, seconds, isCounted });
    reports.set(contender.name, report);
    if (isCounted && contender.name === DIRECT_AND_THROUGH[1]) addWhatIsAdded(bench, reports);
  });
  await takeTurns(bench.rounds, turns);
  return reports;
}

/**
 * The time that the gateway adds to the upstream's, which was called directly before in the same
 * round.
 */
function addWhatIsAdded({ figures }: Bench, reports: ReadonlyMap<string, LoadReport>): void {
  const both = DIRECT_AND_THROUGH.map((name) => reports.get(name)!);
  if (both.some(({ answered }) => answered === 0)) return;
  const [direct, through] = both;
  const key = { group: PAIR_GROUP, contender: 'added by the gateway', setting: '', unit: 'ms' };
  figures.add({ ...key, metric: 'p50' }, through!.p50 - direct!.p50);
  figures.add({ ...key, metric: 'p99' }, through!.p99 - direct!.p99);
}

async function once(
  { database, figures }: Bench,
  load: Child,
  { name, isWritten, gateway, url }: Contender,
  { perSecond, seconds, isCounted }: { perSecond: number; seconds: number; isCounted: boolean },
): Promise<LoadReport> {
  await emptyEntries(database.admin, 'public.usage_entries');
  await database.admin.query('CHECKPOINT');
  const order: LoadOrder = { url, seconds, perSecond };
  const before = await cpuOf(gateway);
  load.send(order);
  const report = await load.next<LoadReport>();
  const cpu = (await cpuOf(gateway)) - before;
  await delay(ANSWERED_MS);
  // A late batch would be found in the next turn, of a contender that writes nothing.
  gateway.send({ isFlushed: true });
  await gateway.next();
  const { rows } = await database.admin.query<{ count: string }>(
    'SELECT count(*) FROM public.usage_entries',
  );
  const found = Number(rows[0]!.count);
  // Requests under way at the end of the load are answered and recorded, but not counted by it.
  const missing = isWritten ? report.answered - found : found;
  if (missing > 0 || report.others > 0) {
    throw new Error(`void round: ${found} rows for ${report.answered} answers of ${name}`);
  }
  if (!isCounted) return report;
  const setting = '';
  const isPair = (DIRECT_AND_THROUGH as readonly string[]).includes(name);
  const pace = perSecond === 0 ? 'as fast as it answers' : 'half the top rate';
  const group = isPair ? PAIR_GROUP : pace;
  const key = { group, contender: name, setting };
  figures.add({ ...key, metric: 'requests', unit: '/s' }, report.perSecond);
  figures.add({ ...key, metric: 'p50', unit: 'ms' }, report.p50);
  figures.add({ ...key, metric: 'p99', unit: 'ms' }, report.p99);
  figures.add({ ...key, metric: 'p99.9', unit: 'ms' }, report.p999);
  figures.add({ ...key, metric: 'CPU of the gateway', unit: 'µs/request' }, cpu / report.answered);
  return report;
}

/** CPU so far, in microseconds. */
async function cpuOf(gateway: Child): Promise<number> {
  gateway.send({});
  const { user, system } = await gateway.next<{ user: number; system: number }>();
  return user + system;
}
