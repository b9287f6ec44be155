import { InvalidArgumentError, type Command } from 'commander';
import { evidenceWords } from '../advice/evidence-words.js';
import type { Finding } from '../advice/finding.interface.js';
import { grouped } from '../config/setting-values.js';
import { autoLines, INDENT } from './auto-lines.js';
import { lookAtDashboard, type Sight } from './look-at-dashboard.js';
import type { CommandOutput } from './command-output.js';
import { parsePositive } from './parse-number.js';

/** A dashboard without viewers has no window yet, and less than five seconds show nothing. */
const LEAST_SECONDS = 6;
const DEFAULT_SECONDS = 15;

/** Options of `advise`. @internal */
export interface AdviseOptions {
  readonly ledger?: string;
  readonly seconds: number;
  readonly header: Readonly<Record<string, string>>;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger advise 'http://localhost:3000/?ledger-token=…'
  $ nestjs-ledger advise http://localhost:3000/ledger --ledger audit --seconds 60
  $ nestjs-ledger advise https://app.example/ledger --header "authorization: Bearer …" --json

Reads the figures of a running application from its dashboard, so they show its real load, machine
and server. For a dashboard without guards, pass the link in the application's log, or set
LEDGER_DASHBOARD_TOKEN for both.
Exit code: 0 (also with notices), 1 if entries are or will be lost or the database is down, 2 if the dashboard can't be read.`;

/** Adds `nestjs-ledger advise`. @param finish called with the exit code @internal */
export function addAdviseCommand(
  program: Command,
  output: CommandOutput,
  finish: (code: number) => void,
): void {
  program
    .command('advise')
    .description('show what limits a running ledger, and which setting to change to which value')
    .argument('[url]', "the application's dashboard", parseUrl, 'http://localhost:3000/')
    .option('--ledger <name>', 'which ledger (default: the first that the dashboard shows)')
    .option(
      '--seconds <count>',
      `how long to look, from ${LEAST_SECONDS}`,
      parseSpan,
      DEFAULT_SECONDS,
    )
    .option('--header <name: value>', 'header for its guards; may be repeated', addHeader, {})
    .option('--json', 'print figures and findings as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (url: string, { header, ledger, seconds, json }: AdviseOptions) => {
      const sight = await shown(output, seconds, () =>
        lookAtDashboard({ url, ledger, seconds, headers: header }),
      );
      if (json) output.line(JSON.stringify(reportOf(sight), null, 2));
      else for (const line of linesOf(sight)) output.line(line);
      const { trouble, advice } = reportOf(sight);
      const isBad = trouble !== null || advice.some(({ severity }) => severity === 'warning');
      finish(isBad ? 1 : 0);
    });
}

/** Shows on a terminal that the command waits for the figures. */
async function shown<T>(
  output: CommandOutput,
  seconds: number,
  look: () => Promise<T>,
): Promise<T> {
  const progress = output.progress('looking', seconds, 's');
  let done = 0;
  const timer = setInterval(() => progress.at(Math.min(seconds, ++done)), 1000);
  try {
    return await look();
  } finally {
    clearInterval(timer);
    progress.end();
  }
}

function reportOf({ ledger, now, point }: Sight) {
  const { state, health, healthReason, saturation, auto, advice } = now;
  const { queuedPerSecond, droppedPerSecond, settledPerSecond } = point;
  const rates = { queuedPerSecond, droppedPerSecond, settledPerSecond };
  const trouble = troubleOf(now);
  return { ledger, state, health, healthReason, trouble, saturation, ...rates, auto, advice };
}

type Troubled = Pick<
  Sight['now'],
  'state' | 'health' | 'healthReason' | 'reason' | 'database' | 'stream'
>;

/** What no setting mends; null if entries are written. @internal */
export function troubleOf(now: Troubled): string | null {
  const { state, health, healthReason, reason, database, stream } = now;
  const why = healthReason ?? reason;
  const because = why === null || why === '' ? '' : `: ${why}`;
  const kept = 'entries are kept until the channel is full, and lost from then on';
  const isGateway = stream?.role === 'gateway';
  const [server, place] = isGateway ? ['stream', 'stream'] : ['server', 'database'];
  if (state === 'halted') return `the ${server} refuses every batch${because}; ${kept}`;
  if (database === 'away') return `the ${place} is down${because}; ${kept}`;
  return health === 'down' ? `the ledger is down${because}` : null;
}

function linesOf(sight: Sight): string[] {
  const { ledger, state, health, queuedPerSecond, settledPerSecond, trouble, advice, auto } =
    reportOf(sight);
  const [taken, settled] = [queuedPerSecond, settledPerSecond].map((rate) =>
    grouped(Math.round(rate ?? 0)),
  );
  const head = `${ledger}: ${state}, ${health}; ${taken} entries/s in, ${settled} settled`;
  const lines = [...autoLines(auto), ...advice.flatMap(findingLines)];
  if (trouble !== null) {
    const remedy = `${INDENT}-> \`npx nestjs-ledger doctor\` says what is wrong with it; settings can wait`;
    return [head, `FAULT   ${trouble}`, remedy, ...lines];
  }
  return [head, ...lines, ...(advice.length > 0 ? [] : ['nothing to change'])];
}

function findingLines({ severity, constraint, summary, remedy, evidence }: Finding): string[] {
  return [
    `${severity.padEnd(7)} ${constraint}: ${summary}`,
    `${INDENT}-> ${remedy}`,
    `${INDENT}(${evidenceWords(evidence)})`,
  ];
}

function parseUrl(text: string): string {
  if (URL.canParse(text) && /^https?:/.test(text)) return text;
  throw new InvalidArgumentError('must be the address of a page');
}

function parseSpan(text: string): number {
  const seconds = parsePositive(text);
  if (seconds >= LEAST_SECONDS) return seconds;
  throw new InvalidArgumentError(`must be ${LEAST_SECONDS} or more`);
}

function addHeader(text: string, before: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([\w-]+):\s*(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('must be a name, a colon and a value');
  }
  return { ...before, [name]: value };
}
