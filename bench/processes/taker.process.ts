import type { LedgerOptions } from '../../libs/ledger/src/config/ledger-options.interface.js';
import { createBenchLedger } from '../setup/bench-ledger.js';
import { openStream } from '../setup/bench-stream.js';
import { inputOf, nextMessage, tell } from '../setup/child.js';
import type { EntryKind } from '../setup/entries.js';

export interface TakerInput {
  readonly url: string;
  /** Address of the stream. */
  readonly stream: string;
  readonly kind: EntryKind;
  readonly options: LedgerOptions;
}

/** Starts or stops a writer. */
export interface TakerOrder {
  readonly runs: boolean;
}

/** Sent after it has stopped. */
export interface TakerEnd {
  /** Milliseconds of CPU of the process since the writer was ready. */
  readonly cpuMs: number;
}

/** Rows committed since the last report. */
export interface TakerReport {
  readonly rows: number;
}

const { url, stream: address, kind, options } = inputOf<TakerInput>();
tell({ isReady: true });
// A new ledger each time, so that none takes messages in the rounds of others; its code stays
// compiled.
while ((await nextMessage<TakerOrder>()).runs) {
  const stream = await openStream(address);
  const bench = await createBenchLedger(url, kind, { ...options, stream, role: 'writer' });
  const { counters, writer } = bench.ledger;
  let told = 0;
  writer.onFlush(() => {
    tell({ rows: counters.written - told });
    told = counters.written;
  });
  tell({ isReady: true });
  const cpu = process.cpuUsage();
  await nextMessage<TakerOrder>();
  await bench.close();
  await stream.close();
  const { user, system } = process.cpuUsage(cpu);
  tell({ cpuMs: (user + system) / 1000 });
}
process.disconnect();
