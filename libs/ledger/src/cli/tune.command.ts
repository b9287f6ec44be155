import type { Command } from 'commander';
import { availableParallelism, constants } from 'node:os';
import {
  recommendSettings,
  workerLimitFor,
  type Recommendation,
  type TuneDemand,
  type TunedSettings,
} from '../advice/recommend-settings.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { environmentName } from '../config/setting-names.js';
import { grouped } from '../config/setting-values.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { databaseUrlOf, findDatabase } from './database-url.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { measureServer, type Measurement } from './measure-server.js';
import { parseCount, parsePositive } from './parse-number.js';

/** More than this at once is for `--workers` to ask for: it takes connections from others. */
const MOST_WORKERS = 16;
/** They end the measuring, not the process: there is a table to drop. A second one ends all. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Options of `tune`. @internal */
export interface TuneOptions extends LedgerCommandOptions {
  readonly qps: number;
  /** Seconds. */
  readonly burst: number;
  readonly instances: number;
  readonly cores: number;
  readonly workers?: number;
  /** Seconds. */
  readonly step: number;
  readonly measure: boolean;
  readonly json?: boolean;
}

/** What `tune` found. @internal */
export interface TuneReport extends Recommendation {
  /** Name of the ledger that the settings are for. */
  readonly ledger: string;
  readonly demand: Omit<TuneDemand, 'measured'>;
  /** Null without a database. */
  readonly measurement: Measurement | null;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger tune --qps 50000 --burst 2
  $ nestjs-ledger tune --qps 5000 --instances 4 --database-url postgres://localhost/app
  $ nestjs-ledger tune --qps 800 --no-measure --json

With a database, it creates a table in the schema of the definition, writes to it at full speed for
some seconds, and drops it.
Exit code: 0, 1 if the rate can't be reached, 2 if it could not be measured, 130 after Ctrl-C, which
also drops the table.`;

/** Adds `nestjs-ledger tune`. @param finish called with the exit code @internal */
export function addTuneCommand(
  program: Command,
  output: CommandOutput,
  finish: (code: number) => void,
): void {
  const command = program
    .command('tune')
    .description('recommend settings for a rate, measured on the database if there is one')
    .requiredOption('--qps <entries>', 'entries a second at the peak, all instances', parsePositive)
    .option('--burst <seconds>', 'seconds of the peak that the channel holds', parsePositive, 1)
    .option('--instances <count>', 'processes that write to this server', parseCount, 1)
    .option('--cores <count>', 'cores of an instance', parseCount, availableParallelism())
    .option(
      '--workers <count>',
      `the most to measure (default: the formula's, <= ${MOST_WORKERS})`,
      parseCount,
    )
    .option('--step <seconds>', 'time for each pair of workers and batch size', parsePositive, 1)
    .option('--no-measure', 'use only the table and the formulas')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES);
  addLedgerOptions(command).action(async (options: TuneOptions) => {
    const report = await tune(options, output);
    if (options.json) output.line(JSON.stringify(report, null, 2));
    else for (const line of tuneLines(report)) output.line(line);
    finish(report.warnings.length > 0 ? 1 : 0);
  });
}

/**
 * Measures, if there is a database, and recommends.
 *
 * @throws CommandError if the definition can't be loaded, or the database can't be reached or refuses
 * @internal
 */
export async function tune(options: TuneOptions, output: CommandOutput): Promise<TuneReport> {
  const { qps, burst: burstSeconds, instances, cores } = options;
  const known = { qps, burstSeconds, instances, cores };
  const definition = await loadDefinition(options);
  const hasDatabase = findDatabase(options, definition) !== undefined;
  const measurement =
    options.measure && hasDatabase ? await measure(definition, options, output) : null;
  const demand = { ...known, maxConnections: measurement?.maxConnections };
  const recommendation = recommendSettings({ ...demand, measured: measurement?.steps ?? [] });
  return { ledger: definition.name, demand, measurement, ...recommendation };
}

async function measure(
  definition: LedgerTable,
  options: TuneOptions,
  output: CommandOutput,
): Promise<Measurement> {
  const databaseUrl = databaseUrlOf(options, definition);
  const schema = definition.schema ?? options.connectionSchema;
  const { step: stepSeconds, qps, burst, instances, cores } = options;
  const demand = { qps, burstSeconds: burst, instances, cores, measured: [] };
  const mostWorkers = options.workers ?? Math.min(MOST_WORKERS, workerLimitFor(demand) * instances);
  const end = new AbortController();
  const stop = (name: NodeJS.Signals): void =>
    end.abort(
      new CommandError('interrupted: nothing is left behind', 128 + constants.signals[name]),
    );
  for (const name of SIGNALS) process.once(name, stop);
  const { signal } = end;
  try {
    return await measureServer({ databaseUrl, schema, mostWorkers, stepSeconds, signal }, output);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`can't measure: ${readPgError(error).text}`);
  } finally {
    for (const name of SIGNALS) process.off(name, stop);
  }
}

/** The report as lines for a person; the first two blocks can be pasted. @internal */
export function tuneLines(report: TuneReport): string[] {
  const { ledger, demand, settings, reasons, warnings, measurement } = report;
  const { qps, burstSeconds, instances, cores, maxConnections } = demand;
  const names = Object.keys(settings) as (keyof TunedSettings)[];
  const server = maxConnections === undefined ? '' : `, max_connections ${maxConnections}`;
  const many = instances === 1 ? '' : `, ${instances} instances`;
  return [
    `# ${grouped(qps)} entries/s, bursts of ${burstSeconds} s${many}, ${cores} cores${server}`,
    '; INI',
    ...names.map((name) => `${environmentName(name, ledger).toLowerCase()}=${settings[name]}`),
    '# environment',
    ...names.map((name) => `${environmentName(name, ledger)}=${settings[name]}`),
    '# why',
    ...names.map((name) => `#   ${name} ${grouped(settings[name])}: ${reasons[name]}`),
    ...measuredLines(measurement),
    ...warnings.map((text) => `# WARNING: ${text}`),
  ];
}

function measuredLines(measurement: Measurement | null): string[] {
  if (measurement === null) return [];
  const rows = measurement.steps.map(
    ({ workers, batchSize, entriesPerSecond, flushMs }) =>
      `#   ${cell(workers, 7)} ${cell(batchSize, 7)} ${cell(entriesPerSecond, 10)} ${cell(flushMs, 9)}`,
  );
  const note = measurement.isWithoutLog
    ? ['#   in temporary tables, which skip the log: the role may create no other; expect less']
    : [];
  return ['# measured', '#   workers   batch  entries/s  ms/batch', ...rows, ...note];
}

function cell(value: number, width: number): string {
  return grouped(value).padStart(width);
}
