import { inputOf, tell } from '../setup/child.js';
import { makeEntry } from '../setup/entries.js';
import { median } from '../setup/figures.js';
import { createRecorder, type Recorder, type RecorderName } from '../setup/recorders.js';

export interface TurnsInput {
  readonly recorders: readonly RecorderName[];
  /** Turns of each recorder, of 100 entries each. */
  readonly turns: number;
}

export interface TurnsReport {
  readonly recorder: RecorderName;
  /** Nanoseconds of one `record()`: the median turn divided by its entries. */
  readonly recordNs: number;
  /** Microseconds of the event loop an entry, including the turn's work after `record()`. */
  readonly loopUs: number;
  /** Number of its turns in which writes went to the thread pool; neither figure includes them. */
  readonly beside: number;
}

const TICK = 100;
/** Turns of each until all code is compiled. */
const WARM_UP = 300;

interface Contender {
  readonly name: RecorderName;
  readonly recorder: Recorder;
  readonly record: number[];
  readonly loop: number[];
  beside: number;
}

async function takeOne({ recorder, record, loop }: Contender, first: number): Promise<void> {
  const entries = Array.from({ length: TICK }, (_, index) => makeEntry('small', first + index));
  const startedAt = performance.now();
  for (const entry of entries) recorder.record(entry);
  const recordedAt = performance.now();
  await new Promise((resolve) => setImmediate(resolve));
  record.push(recordedAt - startedAt);
  loop.push(performance.now() - startedAt);
}

// Alternately, so that disturbances of the machine affect all of them. Medians of such short turns
// exclude them.
const { recorders, turns } = inputOf<TurnsInput>();
const contenders = recorders.map((name): Contender => {
  return { name, recorder: createRecorder(name, 'small'), record: [], loop: [], beside: 0 };
});
for (let turn = -WARM_UP; turn < turns; turn++) {
  for (const contender of contenders) {
    await takeOne(contender, (turn + WARM_UP) * TICK);
    const isBeside = contender.recorder.writesBeside?.() === true;
    if (turn >= 0 && isBeside) contender.beside++;
    if (turn >= 0 && !isBeside) continue;
    contender.record.pop();
    contender.loop.pop();
  }
}
const reports = contenders.map(({ name, record, loop, beside }): TurnsReport => {
  const recordNs = (median(record) / TICK) * 1_000_000;
  return { recorder: name, recordNs, loopUs: (median(loop) / TICK) * 1000, beside };
});
for (const { recorder } of contenders) {
  await recorder.drain();
  await recorder.close?.();
}
tell({ reports });
process.disconnect();
