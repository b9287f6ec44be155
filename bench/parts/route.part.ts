import autocannon from 'autocannon';
import { setTimeout as delay } from 'node:timers/promises';
import type { RouteInput } from '../processes/route.process.js';
import { Child } from '../setup/child.js';
import { emptyEntries } from '../setup/empty-entries.js';
import { takeTurns } from '../setup/figures.js';
import type { Bench, Part } from './part.js';

/** Contenders, and their route in one process each. A quick run only has the last. */
const ROUTES = [
  ['a bare route', 'bare'],
  ['a bare route, again', 'bare-again'],
  ['an empty interceptor', 'empty'],
  ['record() in the handler', 'record'],
  ['@RecordUsage', 'decorated'],
] as const;

const CONNECTIONS = 8;
/** Short and numerous, so that other work on the machine affects all of them alike. */
const TURNS_A_ROUND = 5;
const REQUESTS = 3000;
/** What the compiler takes of a new process is not part of a request. */
const WARM_UP = 20_000;
/** Long enough for the ledger's last batch, which may wait for `flushMs`. */
const FLUSHED_MS = 300;

/** The cost of metering on a route without other work: CPU of the process per request. */
export const route: Part = {
  name: 'route',
  title: 'A route of plain JSON on Fastify: CPU per request',
  async run(bench) {
    const routes = bench.isQuick ? ROUTES.slice(-1) : ROUTES;
    const contenders = await Promise.all(
      routes.map(async ([name, path]) => ({ name, path, ...(await start(bench)) })),
    );
    for (const contender of bench.isQuick ? [] : contenders) await once(contender, WARM_UP);
    const turns = contenders.map((contender) => async (isCounted: boolean) => {
      const micros = await once(contender, bench.isQuick ? REQUESTS / 10 : REQUESTS);
      if (!isCounted) return;
      const key = { group: 'CPU', contender: contender.name, setting: '' };
      bench.figures.add({ ...key, metric: 'CPU of the process', unit: 'µs/request' }, micros);
    });
    await takeTurns(bench.rounds === 1 ? 1 : bench.rounds * TURNS_A_ROUND, turns);
    for (const { server } of contenders) {
      server.send({ isOver: true });
      await server.end();
    }
    await emptyEntries(bench.database.admin, 'public.usage_entries');
  },
};

async function start({ database }: Bench): Promise<{ server: Child; url: string }> {
  const input: RouteInput = { url: database.url };
  const server = new Child('route', input);
  const { url } = await server.next<{ url: string }>();
  return { server, url };
}

/** The batches of the requests are written within the turn, and count. */
async function once(
  { server, url, path }: { server: Child; url: string; path: string },
  amount: number,
): Promise<number> {
  const before = await cpuOf(server);
  const target = `${url}/${path}`;
  const { errors, non2xx } = await autocannon({ url: target, amount, connections: CONNECTIONS });
  if (errors + non2xx > 0) throw new Error(`void turn: ${errors + non2xx} faults of ${path}`);
  await delay(FLUSHED_MS);
  return ((await cpuOf(server)) - before) / amount;
}

/** CPU so far, in microseconds. */
async function cpuOf(server: Child): Promise<number> {
  server.send({});
  const { user, system } = await server.next<{ user: number; system: number }>();
  return user + system;
}
