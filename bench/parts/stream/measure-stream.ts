import type { BenchStream } from '../../setup/bench-stream.js';
import type { Bench } from '../part.js';
import { measureDurableCallers } from './durable-callers.js';
import { measureLoop } from './loop-delay.js';
import { measureRows } from './rows-moved.js';

/**
 * The cost of a stream between gateways and writers, on the cores that one process uses without it.
 *
 * @param note the servers' version and settings, shown with the figures
 * @param open starts the servers
 */
export async function measureStream(
  bench: Bench,
  note: string,
  open: () => Promise<BenchStream>,
): Promise<void> {
  const stream = await open();
  try {
    bench.figures.notes.push(note);
    await measureRows(bench, stream);
    await measureDurableCallers(bench, stream);
    await measureLoop(bench, stream);
  } finally {
    await stream.close();
  }
}
