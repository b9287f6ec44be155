import type { PgSession } from '../postgres/pg-session.js';
import { SPARE_CONNECTIONS } from '../postgres/connection-defaults.js';
import { unwiseConnections } from '../config/unwise-settings.js';
import { mostWorkers } from '../tuning/auto-limits.js';
import { migrateCommand } from '../entry/ledger-command.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { tableExtensions } from '../ledger.extensions.js';
import { remedyInOtherSchema } from './find-other-schemas.js';
import { tableNames } from '../postgres/table-names.js';
import { adoptDefinition } from '../migrations/plan-migrations.js';
import { surplusIndexes, verifyIndexes } from '../migrations/verify-indexes.js';
import { verifyTable } from '../migrations/verify-table.js';
import { loadCatalog } from '../postgres/load-catalog.js';

/** One line of `doctor`. @internal */
export interface Diagnosis {
  readonly check: string;
  /**
   * `warning`: entries are written, but something should be corrected. `fault`: entries will not be
   * written, or get lost.
   */
  readonly status: 'ok' | 'warning' | 'fault';
  readonly message: string;
  /** The remedy; null if there is no fault. */
  readonly remedy: string | null;
}

/** Results of a check, by severity. */
export const ok = (check: string, message: string): Diagnosis => ({
  ...{ check, status: 'ok', message },
  remedy: null,
});
export const warning = (check: string, message: string, remedy: string): Diagnosis => ({
  ...{ check, status: 'warning', message, remedy },
});
export const fault = (check: string, message: string, remedy: string): Diagnosis => ({
  ...{ check, status: 'fault', message, remedy },
});

/**
 * Maximum difference of the clocks, which order a table's history; smaller ones may be network
 * delay.
 */
const SKEW_MS = 1_000;
/** Entries more than a day ahead are refused; a clock with this difference is not set at all. */
const WRONG_CLOCK_MS = 60_000;

/**
 * Compares tables, columns and rights with the migrations; a line for each difference. @internal
 */
export async function checkTables(
  session: PgSession,
  definition: LedgerTable,
): Promise<Diagnosis[]> {
  const found = await verifyTable(session.query, definition, {
    extensions: tableExtensions,
    connectionSchema: session.schema,
  });
  const names = tableNames(definition, session.schema);
  const isAbsent = found.some(
    ({ kind, subject }) => kind === 'missing' && subject === names.entries,
  );
  const migrate = migrateCommand(definition, session.schema);
  const elsewhere = isAbsent ? await remedyInOtherSchema(session.query, names, migrate) : undefined;
  const others = found.filter(({ object }) => object !== 'index');
  const lines = others.map(({ kind, isPrivilege, problem, remedy: usual, subject }) => {
    const isTable = kind === 'missing' && [names.entries, names.deadLetters].includes(subject);
    const remedy = isTable ? (elsewhere ?? usual) : usual;
    const isRight = kind === 'privilege' || isPrivilege === true;
    const say = kind === 'warning' ? warning : fault;
    return say(isRight ? 'permissions' : 'table', problem, remedy);
  });
  const has = (check: string): boolean => lines.some((line) => line.check === check);
  if (!has('table'))
    lines.push(ok('table', 'tables and columns are as the migrations create them'));
  if (has('permissions')) return lines;
  // Rights of a missing table are unknown.
  lines.push(
    isAbsent
      ? warning(
          'permissions',
          "can't be checked without the table",
          'create the table, then run doctor again',
        )
      : ok('permissions', 'INSERT and SELECT are granted'),
  );
  return lines;
}

/**
 * Indexes that reads need, and indexes that only cost writes. An index that the definition does not
 * contain is named by its statement.
 *
 * @internal
 */
export async function checkIndexes(
  session: PgSession,
  definition: LedgerTable,
): Promise<Diagnosis[]> {
  const { schema, entries, sqlEntries } = tableNames(definition, session.schema);
  const [found] = (await loadCatalog(session.query, [entries], schema)).tables;
  if (!found) return [];
  const migrate = migrateCommand(definition, session.schema);
  const asked = { sqlName: sqlEntries, remedy: migrate };
  const lines = verifyIndexes(definition, found, asked).map(({ problem, remedy }) =>
    warning('indexes', problem, remedy),
  );
  // Existing rollups use the index of API keys, independent of the definition.
  const adopted = await adoptDefinition(session.query, definition, schema, tableExtensions);
  for (const { name, columns } of surplusIndexes(adopted, found)) {
    const text =
      `${name} on (${columns.join(', ')}) is not in the definition: it costs the server ` +
      'nearly as much as a row without indexes';
    const remedy = `${migrate} --drop-indexes, or name its field in indexes: [...] of defineLedger()`;
    lines.push(warning('indexes', text, remedy));
  }
  return lines.length > 0 ? lines : [ok('indexes', 'equal to the definition, and valid')];
}

/** The planned size of an instance. @internal */
export interface PlannedFleet {
  readonly instances: number;
  /** With `auto`: the maximum. */
  readonly workers: number | 'auto';
}

interface Limits {
  readonly most: number;
  readonly reserved: number;
  readonly role: number;
  readonly others: number;
}

/** Whether the server has a connection for every worker of every instance. @internal */
export async function checkConnections(
  session: PgSession,
  { instances, workers: wished }: PlannedFleet,
): Promise<Diagnosis[]> {
  const [found] = await session.rows<Record<keyof Limits, string>>(`SELECT
    current_setting('max_connections')::int AS most,
    current_setting('superuser_reserved_connections')::int
      + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
    (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user) AS role,
    (SELECT count(*)::int FROM pg_catalog.pg_stat_activity WHERE backend_type = 'client backend'
      AND application_name NOT LIKE 'nestjs-ledger%') AS others`);
  const limits: Limits = {
    most: Number(found!.most),
    reserved: Number(found!.reserved),
    role: Number(found!.role),
    others: Number(found!.others),
  };
  const workers = wished === 'auto' ? mostWorkers(limits.most) : wished;
  const pool = workers + SPARE_CONNECTIONS;
  const wanted = instances * pool;
  const takes = limits.most - limits.reserved;
  const may = limits.role >= 0 ? Math.min(takes, limits.role) : takes;
  const sum = `${instances} x (${workers} workers + ${SPARE_CONNECTIONS}) = ${wanted} connections`;
  const limit = `max_connections ${limits.most}, ${limits.reserved} reserved`;
  const remedy = 'use fewer workers or instances, raise max_connections, or use PgBouncer';
  if (wanted > may) {
    const role = may < takes ? `, and the role may have ${may}` : '';
    return [fault('connections', `${sum} are more than there are (${limit}${role})`, remedy)];
  }
  if (wanted + limits.others > may) {
    const text = `${sum} and ${limits.others} of others now are more than there are (${limit})`;
    return [warning('connections', text, remedy)];
  }
  // They open more connections than now only if a trial shows that the server writes more.
  const unwise = wished === 'auto' ? [] : unwiseConnections(workers * instances, pool, limits.most);
  if (unwise.length > 0) {
    const text = `${workers * instances} workers are above a tenth of max_connections (${limits.most})`;
    return [
      warning(
        'connections',
        text,
        'use fewer workers; `nestjs-ledger tune` measures how many help',
      ),
    ];
  }
  return [ok('connections', `${sum} fit (${limit}, ${limits.others} of others now)`)];
}

/** Committed data that a crash of the server would lose. @internal */
export async function checkDurability(session: PgSession): Promise<Diagnosis[]> {
  const [found] = await session.rows<Record<string, string>>(`SELECT
    current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
    current_setting('synchronous_commit') AS commit,
    current_setting('synchronous_standby_names') AS standbys`);
  const { fsync, pages, commit, standbys } = found!;
  const lines: Diagnosis[] = [];
  if (fsync === 'off') {
    const text = 'fsync is off: a crash of the machine can destroy the database';
    lines.push(fault('durability', text, "ALTER SYSTEM SET fsync = 'on'"));
  }
  if (pages === 'off') {
    const text = 'full_page_writes is off: a crash in mid-write can destroy pages';
    lines.push(fault('durability', text, "ALTER SYSTEM SET full_page_writes = 'on'"));
  }
  if (commit === 'off') {
    const text =
      'synchronous_commit is off: a crash loses the last commits, except those of awaited entries';
    lines.push(warning('durability', text, "ALTER ROLE … SET synchronous_commit = 'on'"));
  }
  if (lines.length > 0) return lines;
  const copies = standbys === '' ? 'no synchronous replica' : 'a synchronous replica';
  return [
    ok('durability', `fsync on, full_page_writes on, synchronous_commit ${commit}, ${copies}`),
  ];
}

/** Whether the database can store any text of an entry. @internal */
export async function checkEncoding(session: PgSession): Promise<Diagnosis[]> {
  const [row] = await session.rows<{ name: string }>(
    "SELECT current_setting('server_encoding') AS name",
  );
  const { name } = row!;
  if (name === 'UTF8') return [ok('encoding', 'UTF8 can store every text')];
  const what =
    name === 'SQL_ASCII'
      ? 'SQL_ASCII: the database stores texts unchecked'
      : `${name}: an entry with a text that it cannot store becomes a dead letter`;
  return [
    warning(
      'encoding',
      what,
      "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the data",
    ),
  ];
}

/**
 * Difference between this machine's clock, the source of `createdAt`, and the server's. @internal
 */
export async function checkClock(session: PgSession): Promise<Diagnosis[]> {
  const sent = Date.now();
  const [row] = await session.rows<{ at: string }>(
    'SELECT extract(epoch FROM clock_timestamp()) * 1000 AS at',
  );
  const got = Date.now();
  return [judgeClock(Number(row!.at) - (sent + got) / 2, (got - sent) / 2)];
}

/** @param offMs server's clock less this machine's @param errorMs half of the round trip */
export function judgeClock(offMs: number, errorMs: number): Diagnosis {
  const skew = Math.max(0, Math.abs(offMs) - errorMs);
  const by = Math.round(Math.abs(offMs));
  const text = `the server's clock is ${by} ms ${offMs < 0 ? 'behind' : 'ahead'}`;
  const remedy = 'synchronise both machines by NTP';
  if (skew > WRONG_CLOCK_MS) return fault('clock', text, remedy);
  if (skew > SKEW_MS) return warning('clock', text, remedy);
  return ok('clock', text);
}
