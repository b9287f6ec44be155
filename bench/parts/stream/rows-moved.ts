import { roomFor } from '../../setup/bench-ledger.js';
import type { BenchStream } from '../../setup/bench-stream.js';
import { takeTurns } from '../../setup/figures.js';
import { serverCpuMs } from '../../setup/server-cpu.js';
import { Taker } from '../../setup/taker.js';
import { Writer } from '../../setup/writer.js';
import type { Bench } from '../part.js';

const BATCH_SIZE = 5000;
/** Workers of each process. */
const WORKERS = 2;
/** Metric: CPU of the recording processes, which includes the load. */
export const RECORDING = 'CPU of those that record';
export const ROWS_GROUP = 'small entries, batch 5,000, 2 workers a process, at full speed';

/**
 * Rows of one process into PostgreSQL and into the stream; then of one pair of processes, and of
 * two.
 */
export async function measureRows(bench: Bench, stream: BenchStream): Promise<void> {
  const { database, isQuick, rounds } = bench;
  const room = roomFor(BATCH_SIZE, WORKERS);
  const at = { url: database.url, kind: 'small', options: room } as const;
  const through = { ...at, stream: stream.url };
  const direct = await Writer.start(at);
  const gateways = [await Writer.start(through), await Writer.start(through)];
  const writers = [await Taker.start(through), await Taker.start(through)];
  const rows = isQuick ? 20_000 : 300_000;
  const turn = (contender: string, from: readonly Writer[], to: readonly Taker[]) => {
    return (isCounted: boolean): Promise<void> => {
      return once(bench, stream, { contender, from, to, rows, isCounted });
    };
  };
  const [gateway] = gateways as [Writer, Writer];
  await takeTurns(rounds, [
    turn('direct', [direct], []),
    turn('gateway', [gateway], []),
    turn('1 gateway, 1 writer', [gateway], writers.slice(0, 1)),
    turn('2 gateways, 2 writers', gateways, writers),
  ]);
  await Promise.all([direct, ...gateways, ...writers].map((each) => each.end()));
}

interface Turn {
  readonly contender: string;
  readonly from: readonly Writer[];
  readonly to: readonly Taker[];
  readonly rows: number;
  readonly isCounted: boolean;
}

/** From the first record() to the last answer, or to the last commit of the writers. */
async function once(bench: Bench, stream: BenchStream, turn: Turn): Promise<void> {
  const { database, figures } = bench;
  const { contender, from, to, rows, isCounted } = turn;
  await database.clear('small');
  await stream.clear('small');
  let onAll = (): void => undefined;
  const all = new Promise<void>((resolve) => (onAll = resolve));
  let left = rows;
  const onRows = (count: number): void => {
    left -= count;
    if (left <= 0) onAll();
  };
  await Promise.all(to.map((writer) => writer.resume(onRows)));
  const serversBefore = await serverCpu(bench, stream);
  const startedAt = performance.now();
  const order = { entries: rows / from.length, perSecond: 0 };
  const reports = await Promise.all(from.map((each) => each.run(order)));
  if (to.length > 0) await all;
  const ms = performance.now() - startedAt;
  const serversAfter = await serverCpu(bench, stream);
  const ends = await Promise.all(to.map((writer) => writer.pause()));
  if (contender !== 'gateway') await database.check('small', rows);
  if (!isCounted) return;
  const key = { group: ROWS_GROUP, contender, setting: '' };
  figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
  const cpu = {
    [RECORDING]: sum(reports.map(({ cpuMs }) => cpuMs)),
    'CPU of writers': sum(ends.map(({ cpuMs }) => cpuMs)),
    [`CPU of ${stream.engine}`]: serversAfter.stream - serversBefore.stream,
    'CPU of PostgreSQL': serversAfter.postgres - serversBefore.postgres,
  };
  for (const [metric, cpuMs] of Object.entries(cpu)) {
    figures.add({ ...key, metric, unit: 'µs/entry' }, (cpuMs * 1000) / rows);
  }
}

async function serverCpu({ database }: Bench, stream: BenchStream) {
  return { stream: await stream.cpuMs(), postgres: await serverCpuMs(database.dataDir, []) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
