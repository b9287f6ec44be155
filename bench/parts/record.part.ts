import { Child } from '../setup/child.js';
import { ENTRY_KINDS } from '../setup/entries.js';
import { takeTurns } from '../setup/figures.js';
import type { RecordInput } from '../processes/record.process.js';
import { RECORDERS } from '../setup/recorders.js';
import type { Part } from './part.js';

const METRICS: readonly (readonly [field: string, metric: string, unit: string])[] = [
  ['nsMean', 'record() mean', 'ns'],
  ['tickP50', 'tick of 100, p50', 'µs'],
  ['tickP99', 'tick of 100, p99', 'µs'],
  ['tickP9999', 'tick of 100, p99.99', 'µs'],
  ['gcMs', 'GC in all', 'ms'],
  ['longestMs', 'longest GC pause', 'ms'],
  ['encodedMib', 'encoded', 'MiB'],
  ['rssMib', 'RSS grown', 'MiB'],
  ['keptMib', 'RSS kept after the drain', 'MiB'],
];

/**
 * The cost of one call and the memory of a million waiting entries, each contender in its own
 * process.
 */
export const record: Part = {
  name: 'record',
  title: 'record(): cost of a call, memory of a million waiting entries',
  async run({ figures, isQuick, rounds }) {
    const entries = isQuick ? 10_000 : 1_000_000;
    for (const kind of isQuick ? ENTRY_KINDS.slice(0, 1) : ENTRY_KINDS) {
      const turns = RECORDERS.map((recorder) => async (isCounted: boolean) => {
        // Each process warms itself up.
        if (!isCounted) return;
        const input: RecordInput = { recorder, kind, entries, measuresMemory: !isQuick };
        const child = new Child('record', input, ['--expose-gc']);
        const found = await child.next<Record<string, number | undefined>>();
        await child.end();
        for (const [field, metric, unit] of METRICS) {
          const value = found[field];
          if (value === undefined) continue;
          const group = `${kind} entries, ${entries.toLocaleString('en-US')} waiting`;
          figures.add({ group, contender: recorder, setting: '', metric, unit }, value);
        }
      });
      await takeTurns(rounds, turns);
    }
  },
};
