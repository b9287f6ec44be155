import { Deadline } from '../clock/deadline.js';
import { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import { addressOfHost } from '../postgres/address-hosts.js';
import { hostListOf } from '../postgres/host-list.js';
import { open } from '../postgres/open.js';
import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { describeTarget } from '../postgres/describe-target.js';
import { readPgError } from '../postgres/read-pg-error.js';
import { readIdentity, type TableIdentity } from '../sink/read-identity.js';
import {
  ledgerCommand,
  migrateCommand,
  nameDefinition,
  quoteForShell,
} from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { CommandOutput } from './command-output.js';
import { databaseUrlOf, findDatabase } from './database-url.js';
import {
  checkClock,
  checkConnections,
  checkDurability,
  checkEncoding,
  checkIndexes,
  checkTables,
  fault,
  ok,
  type Diagnosis,
  type PlannedFleet,
  warning,
} from './health-checks.js';
import { addLedgerOptions, type LedgerCommandOptions } from './ledger-options.js';
import { loadDefinition } from './load-definition.js';
import { parseCount } from './parse-number.js';
import { checkPartitions } from './partition-check.js';
import { checkPooler } from './pooler-check.js';
import { readSettingsInForce } from './settings-in-force.js';
import { checkJournalDir } from './journal-dir-check.js';
import { checkStream } from './stream-check.js';
import { checkSpillDir } from './spill-dir-check.js';

/** Source: docs/compatibility.md, "Ranges". */
const LOWEST_VERSION = 130_000;
/** Remedies by SQLSTATE: no such database; wrong password; not let in. */
const REMEDIES: Readonly<Record<string, string>> = {
  '3D000': 'create that database, or name another one in the address',
  '28P01': 'correct the password in the address or of the role',
  '28000': 'add a line for that role to pg_hba.conf, or use another role in the address',
};
const MARKS = { ok: 'ok     ', warning: 'warning', fault: 'FAULT  ' };

/** Options of `doctor`. @internal */
export interface DoctorOptions extends LedgerCommandOptions {
  readonly instances: number;
  /** Undefined: from the settings. */
  readonly workers?: number | 'auto';
  /** The same. */
  readonly spillDir?: string;
  /** The same. */
  readonly journalDir?: string;
  /** Address of the stream; undefined: it is not checked. */
  readonly stream?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger doctor --database-url postgres://localhost/app
  $ nestjs-ledger doctor --instances 4 --workers 5 --spill-dir /var/lib/app/spill
  $ nestjs-ledger doctor -d dist/usage.ledger.js --json

Run it as the role, and on the machine, of the application. It reads the ledger's settings from the environment, a profile and the INI file in LEDGER_CONFIG_FILE. It changes nothing: files and directories that it creates for its checks are removed.
Exit code: 0 (also with warnings), 1 if there is a fault, 2 if no database is named or an option is wrong.`;

/** Adds `nestjs-ledger doctor`. @param finish called with the exit code @internal */
export function addDoctorCommand(
  program: Command,
  output: CommandOutput,
  finish: (code: number) => void,
): void {
  const command = program
    .command('doctor')
    .description('check database, table, privileges, limits, clock, spill directory and journal')
    .option('--instances <count>', 'processes that write to this server', parseCount, 1)
    .option('--workers <count>', 'numWorkers of an instance (default: its setting)', parseCount)
    .option('--spill-dir <folder>', 'spillDir of the application (default: its setting)')
    .option('--journal-dir <folder>', 'journalDir of the application (default: its setting)')
    .option(
      '--stream <url>',
      'stream between gateways and writers, as nats://host:4222 or kafka://host:9092',
    )
    .option('--json', 'print the lines as JSON')
    .addHelpText('after', EXAMPLES);
  addLedgerOptions(command).action(async (options: DoctorOptions) => {
    const lines = await doctor(options);
    if (options.json) output.line(JSON.stringify({ checks: lines }, null, 2));
    else for (const line of lines) output.line(textOf(line));
    finish(lines.some(({ status }) => status === 'fault') ? 1 : 0);
  });
}

/**
 * Checks everything that a ledger needs; an unreachable database is a line too.
 *
 * @throws CommandError if no database was named, if its address is invalid, or if the definition
 * can't be loaded
 * @internal
 */
export async function doctor(options: DoctorOptions): Promise<Diagnosis[]> {
  const definition = await loadDefinition(options);
  const { connectionSchema: schema } = options;
  const url = databaseUrlOf(options, definition);
  const source = findDatabase(options, definition)?.name;
  const connection = { url, schema, target: `${describeTarget({ url })} (${source})` };
  const { faults, bufferMaxBytes, ...settings } = readSettingsInForce(definition.name);
  const { instances, workers = settings.numWorkers, spillDir = settings.spillDir } = options;
  const { journalDir = settings.journalDir } = options;
  const replay = ledgerCommand(`replay ${quoteForShell(spillDir)}`, definition, schema);
  const database = await checkDatabase(connection, definition, { instances, workers });
  const lines = [
    ...database.lines,
    ...faults.map(({ name, value, source, rule }) =>
      fault(
        'settings',
        `${name} = ${value} (${source})`,
        `${rule}: no ledger starts until this is corrected`,
      ),
    ),
    ...(await checkSpillDir(spillDir, bufferMaxBytes, replay)),
    ...(await checkJournal(journalDir, definition, schema, database.identity)),
    ...(options.stream === undefined ? [] : await checkStream(options.stream, definition)),
  ];
  return lines.map((line) => ({
    ...line,
    remedy: line.remedy === null ? null : nameDefinition(line.remedy, options),
  }));
}

/** @param journalDir undefined: there is no journal */
async function checkJournal(
  journalDir: string | undefined,
  definition: LedgerTable,
  schema: string | undefined,
  identity: TableIdentity | undefined,
): Promise<Diagnosis[]> {
  if (journalDir === undefined) return [];
  const { table, name: ledger } = definition;
  const own = identity?.id === undefined ? undefined : { table, ...identity };
  const [list, replay] = ['journal list', 'journal replay'].map((command) =>
    ledgerCommand(command, definition, schema),
  );
  const found = await checkJournalDir({ journalDir, ledger, list: list!, replay: replay!, own });
  if (identity === undefined || own !== undefined) return found;
  // An unreachable server already has a line.
  const text =
    "the id of the table can't be read: journals of another address, for example after a move of the database, are not replayed";
  const remedy = `${migrateCommand(definition, schema)}, and GRANT SELECT ON ${table}_identity to the role`;
  return [...found, warning('journal', text, remedy)];
}

/** The server's answer. */
interface DatabaseFindings {
  readonly lines: readonly Diagnosis[];
  /** Undefined: the server did not answer. */
  readonly identity: TableIdentity | undefined;
}

interface DoctorConnection {
  readonly url: string;
  readonly schema: string | undefined;
  /** Host, database and user, and their source. */
  readonly target: string;
}

async function checkDatabase(
  connection: DoctorConnection,
  definition: LedgerTable,
  fleet: PlannedFleet,
): Promise<DatabaseFindings> {
  const dataSource = open(
    { url: connection.url, schema: connection.schema, installExtensions: false },
    { applicationName: 'nestjs-ledger doctor', poolSize: 1 },
  );
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  try {
    await connections.ready();
  } catch (error) {
    const { code = '', text } = readPgError(error);
    const remedy =
      REMEDIES[code] ?? 'check address, network, pg_hba.conf, the role and its password';
    const line = `can't be reached: ${text}; asked: ${connection.target}`;
    return { lines: [fault('reachable', line, remedy)], identity: undefined };
  }
  try {
    const lines: Diagnosis[] = [];
    await connections.use(new Deadline(Number.POSITIVE_INFINITY), async (session) => {
      const checks: (readonly [string, () => Promise<Diagnosis[]>])[] = [
        ['reachable', () => checkServer(session, connection.target)],
        ['table', () => checkTables(session, definition)],
        ['partitions', () => checkPartitions(session, definition)],
        ['indexes', () => checkIndexes(session, definition)],
        ['connections', () => checkConnections(session, fleet)],
        ['durability', () => checkDurability(session)],
        ['pooler', () => checkPooler(addressInUse(connection.url, dataSource))],
        ['encoding', () => checkEncoding(session)],
        ['clock', () => checkClock(session)],
      ];
      for (const [name, check] of checks) lines.push(...(await orFault(name, check)));
    });
    const identity = await readIdentity(connections, definition).catch(() => undefined);
    return { lines, identity };
  } finally {
    await connections.close();
  }
}

/** Of several hosts the one that accepted the connection. */
function addressInUse(url: string, { options }: DataSource): string {
  const list = hostListOf(options);
  return list === undefined ? url : addressOfHost(url, list.next);
}

/** A check that the server refuses is a separate line; the others still run. */
async function orFault(name: string, check: () => Promise<Diagnosis[]>): Promise<Diagnosis[]> {
  try {
    return await check();
  } catch (error) {
    return [fault(name, `can't be checked: ${readPgError(error).text}`, "see the server's answer")];
  }
}

async function checkServer(session: PgSession, target: string): Promise<Diagnosis[]> {
  const began = performance.now();
  const [found] = await session.rows<Record<'version' | 'number' | 'readonly', string>>(
    `SELECT current_setting('server_version') AS version,
       current_setting('server_version_num') AS number,
       current_setting('transaction_read_only') AS readonly`,
  );
  const ms = (performance.now() - began).toFixed(1);
  const { version, number, readonly } = found!;
  if (Number(number) < LOWEST_VERSION) {
    return [fault('reachable', `PostgreSQL ${version} is too old`, 'use PostgreSQL 13 or later')];
  }
  if (readonly === 'on') {
    return [
      fault('reachable', 'the server is read-only: a replica?', 'use the address of the primary'),
    ];
  }
  return [ok('reachable', `PostgreSQL ${version} at ${target}, answers in ${ms} ms`)];
}

function textOf({ check, status, message, remedy }: Diagnosis): string {
  const line = `${MARKS[status]} ${check}: ${message}`;
  return remedy === null ? line : `${line}\n          -> ${remedy}`;
}
