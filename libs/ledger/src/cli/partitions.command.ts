import type { RetiredPartition } from '../ports/ledger-retention.interface.js';
import { Option, type Command } from 'commander';
import { randomUUID } from 'node:crypto';
import type { LedgerTable, PartitionPeriod } from '../entry/ledger-definition.js';
import type { PgSession } from '../postgres/pg-session.js';
import { convertTable, planConversion } from '../partitions/convert-table.js';
import { createPartitions, missingPeriods } from '../partitions/create-partitions.js';
import { listPartitions, type PartitionedTable } from '../partitions/list-partitions.js';
import { retentionCutoff, wantedPeriods } from '../partitions/partition-plan.js';
import { periodsBetween } from '../partitions/period.js';
import {
  detachPartitions,
  dropRetired,
  earlierNow,
  endRetired,
  leaveRetired,
  listRetired,
  partitionsBefore,
  type FoundRetired,
} from '../partitions/retire-partitions.js';
import { rollupRetirement } from '../rollup/rollup-retirement.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { CommandDatabase } from './command-database.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { parseCount } from './parse-number.js';
import { checkPeriod, parseTime, TIME_RULE } from './parse-time.js';

interface PartitionOptions extends LedgerCommandOptions {
  readonly by?: PartitionPeriod;
  readonly json?: boolean;
  readonly dryRun?: boolean;
}

interface CreateOptions extends PartitionOptions {
  readonly ahead?: number;
  readonly from?: Date;
  readonly to?: Date;
}

interface RetireOptions extends PartitionOptions {
  readonly keep: number;
  readonly detachOnly?: boolean;
}

/** The period that counts. */
interface Period {
  readonly by: PartitionPeriod;
}

/** Dependent objects still exist. Source: PostgreSQL 18, appendix A. */
const DEPENDENT_OBJECTS = '2BP01';

const EXAMPLES = `
Examples:
  $ nestjs-ledger partitions list -d dist/usage.ledger.js
  $ nestjs-ledger partitions create -d dist/usage.ledger.js --ahead 7
  $ nestjs-ledger partitions retire -d dist/usage.ledger.js --keep 13 --detach-only
  $ nestjs-ledger partitions convert -d dist/usage.ledger.js --dry-run --json

Exit code: 0, or 2 if the command failed.`;

/** Adds `nestjs-ledger partitions list | create | retire | convert`. @internal */
export function addPartitionsCommand(program: Command, output: CommandOutput): void {
  const group = program
    .command('partitions')
    .description("list, create, retire or convert a ledger's partitions")
    .addHelpText('after', EXAMPLES);
  const add = (name: string, description: string): Command => {
    const command = group.command(name).description(description).copyInheritedSettings(program);
    return addLedgerOptions(command)
      .option('--json', 'print the result as JSON')
      .addHelpText('after', EXAMPLES);
  };
  const changing = (command: Command): Command =>
    command
      .addOption(
        new Option('--by <period>', 'default: as the definition says, else month').choices([
          'day',
          'month',
        ]),
      )
      .option('--dry-run', 'show what would be done, without doing it');

  add('list', 'name, period, size and estimated rows of each').action((options: PartitionOptions) =>
    run(options, output, list),
  );
  changing(add('create', 'create missing partitions; safe to run concurrently'))
    .option('--ahead <n>', 'periods after the current one', parseCount)
    .addOption(
      new Option('--from <time>', `instead: periods from this time on: ${TIME_RULE}`)
        .argParser(parseTime)
        .conflicts('ahead'),
    )
    .option('--to <time>', 'with --from: up to this time; default: now', parseTime)
    .action((options: CreateOptions) => run(options, output, create));
  changing(add('retire', 'detach and drop partitions that are older than the kept periods'))
    .requiredOption('--keep <n>', 'whole periods before the current one', parseCount)
    .option('--detach-only', 'keep the detached tables, for example to archive them')
    .action((options: RetireOptions) => run(options, output, retire));
  changing(add('convert', 'turn a plain table into a partitioned one, while writers go on')).action(
    (options: PartitionOptions) => run(options, output, convert),
  );
}

/** What a command found or did: one object for JSON, and lines for a person. */
interface Answer {
  readonly json: object;
  readonly lines: readonly string[];
  /** What could not be done beside it, with the remedy. */
  readonly failure?: string | undefined;
}

type Work<T> = (session: PgSession, sqlTable: string, options: T & Period) => Promise<Answer>;

/** All on one connection, as transactions need it. */
async function run<T extends PartitionOptions>(
  options: T,
  output: CommandOutput,
  work: Work<T>,
): Promise<void> {
  const definition = await loadDefinition(options);
  const by = periodOf(definition, options.by);
  const database = await CommandDatabase.open(definition, options);
  try {
    const { json, lines, failure } = await database.use((session) =>
      work(session, database.names.sqlEntries, { ...options, by }),
    );
    if (options.json) output.line(JSON.stringify(json, null, 2));
    else for (const line of lines) output.line(line);
    if (failure !== undefined) throw new CommandError(failure);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`can't do it: ${readPgError(error).text}`);
  } finally {
    await database.close();
  }
}

/** A table may be partitioned before its definition is, but never by another unit. */
function periodOf({ partition }: LedgerTable, by: PartitionPeriod | undefined): PartitionPeriod {
  if (by !== undefined && partition !== undefined && by !== partition) {
    throw new CommandError(`--by ${by} contradicts the definition, which says '${partition}'`);
  }
  return partition ?? by ?? 'month';
}

async function tableOf(session: PgSession, sqlTable: string): Promise<PartitionedTable> {
  const table = await listPartitions(session, sqlTable);
  if (table?.isByUuid) return table;
  throw new CommandError(
    table?.isPartitioned
      ? `${sqlTable} is not partitioned by ranges of uuid`
      : `${sqlTable} is a plain table: \`partitions convert\` turns it into a partitioned one`,
  );
}

async function list(session: PgSession, sqlTable: string): Promise<Answer> {
  const { partitions } = await tableOf(session, sqlTable);
  const json = partitions.map(({ from, to, rows, schema: _schema, sql: _sql, ...rest }) => ({
    ...rest,
    from: timeOf(from),
    to: timeOf(to),
    rows: rows ?? null,
  }));
  const lines = json.map(({ name, isDefault, from, to, bytes, rows }) => {
    const period = isDefault ? 'everything else' : `${from ?? 'the beginning'} to ${to}`;
    return `${name}  ${period}  ${bytes} bytes  ${rows === null ? '?' : `~${rows}`} rows`;
  });
  return { json: { partitions: json }, lines };
}

async function create(
  session: PgSession,
  sqlTable: string,
  options: CreateOptions & Period,
): Promise<Answer> {
  const { by, ahead, from, to = new Date() } = options;
  if (options.to && !from) throw new CommandError('--to needs --from');
  checkPeriod(from, to);
  const table = await tableOf(session, sqlTable);
  const wanted = from
    ? periodsBetween(by, from.getTime(), to.getTime())
    : wantedPeriods(by, Date.now(), ahead);
  const missing = missingPeriods(table, wanted);
  if (options.dryRun) {
    const created = missing.map(({ label }) => `${table.path.table}_p${label}`);
    const lines = created.map((name) => `would make ${name}`);
    return { json: { created, dryRun: true }, lines: orNothing(lines) };
  }
  const report = await createPartitions(session, sqlTable, missing);
  const lines = report.created.map((name) => `made ${name}`);
  if (report.moved > 0) lines.push(`${report.moved} rows moved out of the default partition`);
  if (report.isBusy) lines.push('another process is making partitions: the rest is left to it');
  return { json: report, lines: orNothing(lines) };
}

async function retire(
  session: PgSession,
  sqlTable: string,
  { by, keep, detachOnly, dryRun }: RetireOptions & Period,
): Promise<Answer> {
  const table = await tableOf(session, sqlTable);
  const cutoff = retentionCutoff(by, await earlierNow(session, Date.now()), keep);
  if (dryRun) {
    const retired = partitionsBefore(table.partitions, cutoff).map(({ name }) => name);
    const lines = retired.map((name) => `would retire ${name}`);
    return { json: { retired, dryRun: true }, lines: orNothing(lines) };
  }
  const detached = await detachPartitions(session, sqlTable, cutoff, { hooks: rollupRetirement });
  if (detached === undefined) {
    throw new CommandError('another process holds the lock: try again');
  }
  // Those among them that an earlier run detached and did not end.
  const found = await listRetired(session, table.path);
  const end = detachOnly ? leaveRetired : dropRetired;
  const retired: RetiredPartition[] = [];
  const refusals = new Map<string, string>();
  for (const { partition, isAwaited } of found) {
    if (isAwaited) continue;
    try {
      if (await endRetired(session, partition, randomUUID(), end)) retired.push(partition);
    } catch (error) {
      const { code, isAnswer, text } = readPgError(error);
      if (!isAnswer) throw error;
      // What hangs on one table is no reason to keep the others.
      refusals.set(
        partition.table,
        code === DEPENDENT_OBJECTS ? `views or foreign keys use it (${code})` : text,
      );
    }
  }
  // What another process has ended meanwhile is not among them.
  const left = retired.length < found.length ? await listRetired(session, table.path) : [];
  const verb = detachOnly ? 'detached' : 'dropped';
  const reasonOf = ({ partition, isAwaited }: FoundRetired): string => {
    const refusal = refusals.get(partition.table);
    if (refusal !== undefined) return `it can't be ${verb}: ${refusal}`;
    return isAwaited ? "it waits for an application's onRetire" : 'another process is retiring it';
  };
  const lines = [
    ...retired.map(({ table: name }) => `${verb} ${name}`),
    ...left.map((each) => `left ${each.partition.table}: ${reasonOf(each)}`),
  ];
  const told = left.map((each) => ({ ...each.partition, reason: reasonOf(each) }));
  const json = { retired, left: told, dropped: !detachOnly };
  const failure =
    refusals.size === 0
      ? undefined
      : `${refusals.size} of the tables can't be ${verb}: fix the cause, and run the command again`;
  return { json, lines: orNothing(lines), failure };
}

async function convert(
  session: PgSession,
  sqlTable: string,
  { by, dryRun }: PartitionOptions & Period,
): Promise<Answer> {
  const plan = await planConversion(session, sqlTable, by);
  if (plan === undefined || plan.obstacles.length > 0) {
    throw new CommandError(`${sqlTable} can't be converted: ${plan?.obstacles.join('; ')}`);
  }
  const { oldPartition, until, strays, keyed } = plan;
  const done = dryRun ? undefined : await convertTable(session, sqlTable, by);
  const verb = done === undefined ? 'would become' : 'became';
  const lines = keyed > 0 ? [keyedLine(keyed, dryRun)] : [];
  lines.push(`the table ${verb} ${oldPartition}, for entries up to ${until}`);
  if (strays > 0) lines.push(`${strays} rows with uuids of no such time go to the default one`);
  return { json: { oldPartition, until, strays, keyed, converted: done !== undefined }, lines };
}

function keyedLine(keyed: number, dryRun: boolean | undefined): string {
  const what = `${keyed} rows are known by an idempotencyKey without createdAt`;
  const then = 'an entry that is repeated under such a key is a new entry';
  return dryRun
    ? `WARNING: ${what}: after the conversion ${then}. Convert when no caller repeats them any more`
    : `WARNING: ${what}: from now on ${then}`;
}

function orNothing(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? ['nothing to do'] : lines;
}

function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
