import { roomFor } from '../../setup/bench-ledger.js';
import type { BenchStream } from '../../setup/bench-stream.js';
import { takeTurns } from '../../setup/figures.js';
import { Writer } from '../../setup/writer.js';
import type { Bench } from '../part.js';

const BATCH_SIZE = 2000;
const PER_SECOND = 50_000;
export const LOOP_GROUP = 'event loop at 50,000 entries/s, batch 2,000';

/** The event loop of a publishing process, next to one that writes. */
export async function measureLoop(bench: Bench, stream: BenchStream): Promise<void> {
  const options = { ...roomFor(BATCH_SIZE, 2), bufferSize: 500_000, flushMs: 200 };
  const at = { url: bench.database.url, kind: 'small', options } as const;
  const direct = await Writer.start(at);
  const gateway = await Writer.start({ ...at, stream: stream.url });
  const turn = (contender: string, writer: Writer) => {
    return (isCounted: boolean): Promise<void> =>
      once(bench, stream, { contender, writer, isCounted });
  };
  await takeTurns(bench.rounds, [turn('direct', direct), turn('gateway', gateway)]);
  await direct.end();
  await gateway.end();
}

interface Turn {
  readonly contender: string;
  readonly writer: Writer;
  readonly isCounted: boolean;
}

async function once(
  { database, figures, isQuick }: Bench,
  stream: BenchStream,
  { contender, writer, isCounted }: Turn,
): Promise<void> {
  await database.clear('small');
  await stream.clear('small');
  const seconds = isQuick ? 0.5 : 3;
  const order = { entries: PER_SECOND * seconds, perSecond: PER_SECOND };
  const { loop, dropped } = await writer.run(order);
  if (dropped > 0) throw new Error(`void round: ${dropped} entries were dropped`);
  if (!isCounted) return;
  const key = { group: LOOP_GROUP, contender, setting: '' };
  figures.add({ ...key, metric: 'delay p50', unit: 'ms' }, loop.p50);
  figures.add({ ...key, metric: 'delay p99', unit: 'ms' }, loop.p99);
  figures.add({ ...key, metric: 'utilisation', unit: '%' }, loop.utilisation * 100);
}
