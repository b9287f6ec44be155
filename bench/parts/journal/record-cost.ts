import type { RecordInput } from '../../processes/record.process.js';
import { Child } from '../../setup/child.js';
import { takeTurns } from '../../setup/figures.js';
import { JOURNALED_RECORDERS } from '../../setup/recorders.js';
import type { Bench } from '../part.js';

const CONTENDERS = ['ledger', ...JOURNALED_RECORDERS, 'OpenTelemetry'] as const;
const METRICS: readonly (readonly [field: string, metric: string, unit: string])[] = [
  ['nsMean', 'record() mean', 'ns'],
  ['cpuMean', 'CPU', 'µs/entry'],
  ['tickP99', 'tick of 100, p99', 'µs'],
];

/** One call of `record()`, and all that the process does for it, with what stands behind it stalled. */
export async function measureRecordCost({ figures, isQuick, rounds }: Bench): Promise<void> {
  const entries = isQuick ? 20_000 : 300_000;
  const turns = CONTENDERS.map((recorder) => async (isCounted: boolean) => {
    // Each process warms itself up.
    if (!isCounted) return;
    const input: RecordInput = { recorder, kind: 'small', entries, measuresMemory: false };
    const child = new Child('record', input, ['--expose-gc']);
    const found = await child.next<Record<string, number | undefined>>();
    await child.end();
    for (const [field, metric, unit] of METRICS) {
      const key = { group: 'record(), 100 entries a turn', contender: recorder, setting: '' };
      figures.add({ ...key, metric, unit }, found[field]!);
    }
  });
  await takeTurns(rounds, turns);
}
