import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { inputOf, tell } from '../setup/child.js';
import { makeEntry, type EntryKind } from '../setup/entries.js';
import { percentile } from '../setup/figures.js';
import { createRecorder, type Recorder, type RecorderName } from '../setup/recorders.js';

/** Entries recorded in one turn of the event loop. */
const TICK = 100;
const MIB = 1_048_576;
const SWEEP_MS = 500;

export interface RecordInput {
  readonly recorder: RecorderName;
  readonly kind: EntryKind;
  readonly entries: number;
  /** Takes two additional seconds. */
  readonly measuresMemory: boolean;
}

const { recorder: name, kind, entries, measuresMemory } = inputOf<RecordInput>();
const collect = globalThis.gc as () => void;

/** Records entries, tick by tick. @returns nanoseconds of each tick */
async function recordAll(recorder: Recorder, count: number): Promise<number[]> {
  const ticks: number[] = [];
  for (let i = 0; i < count;) {
    const batch = Array.from({ length: TICK }, (_, k) => makeEntry(kind, i + k));
    const startedAt = process.hrtime.bigint();
    for (const entry of batch) recorder.record(entry);
    ticks.push(Number(process.hrtime.bigint() - startedAt));
    i += TICK;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return ticks;
}

/** Memory freed by a collection is returned to the system on another thread. */
async function settleMemory(): Promise<void> {
  if (!measuresMemory) return;
  for (let i = 0; i < 2; i++) {
    collect();
    await delay(SWEEP_MS);
  }
}

// A run before the measured one, so that all code is compiled.
const first = createRecorder(name, kind);
await recordAll(first, entries / 5);
await first.drain();
await first.close?.();
await settleMemory();

const pauses: number[] = [];
const observer = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pauses.push(duration);
});
observer.observe({ entryTypes: ['gc'] });
const second = createRecorder(name, kind);
const rssBefore = process.memoryUsage.rss();
const cpu = process.cpuUsage();
const ticks = await recordAll(second, entries);
const { user, system } = process.cpuUsage(cpu);
const bytes = second.bytes();
const isBeside = second.writesBeside?.() === true;
await delay(20);
const gcMs = pauses.reduce((sum, ms) => sum + ms, 0);
const longestMs = Math.max(0, ...pauses);
observer.disconnect();
collect();
const rssBytes = process.memoryUsage.rss() - rssBefore;
await second.drain();
await second.close?.();
await settleMemory();
tell({
  beside: isBeside ? 1 : 0,
  nsMean: ticks.reduce((sum, ns) => sum + ns, 0) / entries,
  cpuMean: (user + system) / entries,
  tickP50: percentile(ticks, 0.5) / 1000,
  tickP99: percentile(ticks, 0.99) / 1000,
  tickP9999: percentile(ticks, 0.9999) / 1000,
  gcMs,
  longestMs,
  encodedMib: bytes === undefined ? undefined : bytes / MIB,
  rssMib: rssBytes / MIB,
  keptMib: (process.memoryUsage.rss() - rssBefore) / MIB,
});
process.disconnect();
