import type { RecordInput } from '../../processes/record.process.js';
import type { TurnsInput, TurnsReport } from '../../processes/turns.process.js';
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
const ENTRIES = 300_000;
const TURNS = 2000;

/**
 * One call of `record()` and all work of the process for it, while everything after it is stalled.
 * A quick run only tries it: for 20,000 entries compilation takes 2 to 4 µs each, several times the
 * journal's cost, so the figures would show the compiler.
 */
export async function measureRecordCost(bench: Bench): Promise<void> {
  if (bench.isQuick) return tryEach();
  await measureAlone(bench);
  for (let round = 0; round < bench.rounds; round++) await measureTurns(bench);
}

async function tryEach(): Promise<void> {
  const input: TurnsInput = { recorders: CONTENDERS, turns: 1 };
  const child = new Child('turns', input);
  await child.next();
  await child.end();
}

/** Each in its own process, because OpenTelemetry's garbage is part of its own cost. */
async function measureAlone({ figures, rounds }: Bench): Promise<void> {
  const turns = CONTENDERS.map((recorder) => async (isCounted: boolean) => {
    // Each process warms itself up.
    if (!isCounted) return;
    const input: RecordInput = { recorder, kind: 'small', entries: ENTRIES, measuresMemory: false };
    const child = new Child('record', input, ['--expose-gc']);
    const found = await child.next<Record<string, number | undefined>>();
    await child.end();
    if (found['beside'] === 1) {
      figures.notes.push(`${recorder}: a round is void, its writes went to the thread pool`);
      return;
    }
    for (const [field, metric, unit] of METRICS) {
      const key = { group: 'record(), 100 entries a turn', contender: recorder, setting: '' };
      figures.add({ ...key, metric, unit }, found[field]!);
    }
  });
  await takeTurns(rounds, turns);
}

/**
 * In one process, turn by turn: shows small differences that two processes on a busy machine don't.
 */
async function measureTurns({ figures }: Bench): Promise<void> {
  const input: TurnsInput = { recorders: ['ledger', 'ledger, turn'], turns: TURNS };
  const child = new Child('turns', input);
  const { reports } = await child.next<{ reports: TurnsReport[] }>();
  await child.end();
  for (const { recorder, recordNs, loopUs, beside } of reports) {
    if (beside > 0) {
      figures.notes.push(`${recorder}: ${beside} of ${TURNS} turns left out, the disk was slow`);
    }
    if (beside === TURNS) continue;
    const key = { group: 'alternately in one process', contender: recorder, setting: '' };
    figures.add({ ...key, metric: 'record(), median', unit: 'ns' }, recordNs);
    figures.add({ ...key, metric: 'loop, median', unit: 'µs/entry' }, loopUs);
  }
}
