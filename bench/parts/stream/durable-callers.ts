import { createBenchGateway } from '../../setup/bench-ledger.js';
import type { BenchStream } from '../../setup/bench-stream.js';
import { callAtOnce } from '../../setup/call-at-once.js';
import { encodeBatches, makeEntry } from '../../setup/entries.js';
import { takeTurns } from '../../setup/figures.js';
import type { Bench } from '../part.js';

const CALLERS = 100;
export const DURABLE_GROUP = '100 callers that wait for the stream';

/**
 * Callers that wait until their entry is in the stream, next to as many that publish a message
 * each.
 */
export async function measureDurableCallers(bench: Bench, stream: BenchStream): Promise<void> {
  const options = { batchSize: 1000, numWorkers: 2 };
  const gateway = await createBenchGateway(stream.url, 'small', options);
  const { awaited } = gateway.ledger;
  const row = encodeBatches('small', 1, 1)[0]!;
  const turn = (contender: string, call: (i: number) => Promise<unknown>) => {
    return (isCounted: boolean): Promise<void> =>
      once(bench, stream, { contender, call, isCounted });
  };
  await takeTurns(bench.rounds, [
    turn('recordAndWait, durable', (i) =>
      awaited.record(makeEntry('small', i), { until: 'durable' }),
    ),
    turn('a publish per row', () => stream.publish('small', row)),
  ]);
  await gateway.close();
}

interface Turn {
  readonly contender: string;
  readonly call: (i: number) => Promise<unknown>;
  readonly isCounted: boolean;
}

async function once(
  { figures, isQuick }: Bench,
  stream: BenchStream,
  { contender, call, isCounted }: Turn,
): Promise<void> {
  await stream.clear('small');
  const ms = isQuick ? 300 : 2000;
  const { perSecond, p50, p99 } = await callAtOnce({ callers: CALLERS, ms }, call);
  if (!isCounted) return;
  const key = { group: DURABLE_GROUP, contender, setting: '' };
  figures.add({ ...key, metric: 'entries', unit: 'entries/s' }, perSecond);
  figures.add({ ...key, metric: 'wait p50', unit: 'ms' }, p50);
  figures.add({ ...key, metric: 'wait p99', unit: 'ms' }, p99);
}
