import type { RunReport } from './run-tally.js';
import type { SequenceRange } from './sequence-set.js';
import type { VerifyReport } from './verify-ledger.js';

/** Ranges of missing sequences that one line shows. */
const SHOWN_RANGES = 5;

const GONE =
  'deleted entries, and those of retired partitions, count as missing: --from leaves out older ones';
const BLIND_SPOTS = [
  'not checked: entries that a killed process held after the last one that it wrote; entries with',
  "the caller's uuid or idempotency key; sequence numbers before the first of a period",
];

/** The report as lines for a person. @internal */
export function verifyLines(report: VerifyReport, graceMs: number): string[] {
  const { runs, withoutRun, hasDeadLetterTable, unreadable, faults } = report;
  const sum = (of: (run: RunReport) => number): number =>
    runs.reduce((total, run) => total + of(run), 0);
  const [missing, undecided] = [sum((run) => run.missing), sum((run) => run.undecided)];
  return [
    ...runs.map(runLine),
    `${runs.length} ${runs.length === 1 ? 'run' : 'runs'}: ${sum((run) => run.table)} in the table, ` +
      `${sum((run) => run.deadLetters)} dead-lettered, ${sum((run) => run.spills)} spilled, ` +
      inStream(sum((run) => run.stream)) +
      `${missing} missing`,
    ...(missing > 0 ? [GONE] : []),
    ...(undecided > 0
      ? [`left out: ${undecided} not found, younger than ${graceMs / 1000} s, maybe in flight`]
      : []),
    ...(withoutRun > 0 ? [`left out: ${withoutRun} entries whose uuid belongs to no run`] : []),
    ...(unreadable > 0
      ? [`left out: ${unreadable} lines of files, or messages, that can't be read`]
      : []),
    ...(hasDeadLetterTable ? [] : ['there is no table of dead letters']),
    ...faults.map(({ problem, remedy }) => `warning: ${problem} (${remedy})`),
    ...BLIND_SPOTS,
  ];
}

/** Not named where there is none: most ledgers have no stream. */
function inStream(entries: number): string {
  return entries === 0 ? '' : `in the stream ${entries}, `;
}

function runLine(run: RunReport): string {
  const { queued, table, deadLetters, spills, stream, missing, missingRanges } = run;
  const iso = (ms: number): string => new Date(ms).toISOString();
  const counts =
    `queued ${queued}, in the table ${table}, dead-lettered ${deadLetters}, ` +
    `spilled ${spills}, ${inStream(stream)}missing ${missing}`;
  const shown = missingRanges.slice(0, SHOWN_RANGES).map(rangeText).join(', ');
  const more = missingRanges.length > SHOWN_RANGES ? ', …' : '';
  const which = missing === 0 ? '' : `: ${shown}${more}`;
  return `run ${run.run} (${iso(run.from)} to ${iso(run.to)}): ${counts}${which}`;
}

function rangeText({ from, to }: SequenceRange): string {
  return from === to ? String(from) : `${from}-${to}`;
}
