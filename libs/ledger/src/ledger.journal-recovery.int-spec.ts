import { chmodSync, existsSync, renameSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { outputTo } from './cli/fixtures/command-output.fixture.js';
import { definitionOptions } from './cli/fixtures/definition-options.fixture.js';
import { runProgram } from './cli/program.js';
import { realTimers } from './clock/real-timers.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { createLedger, type PostgresLedger } from './create-ledger.js';
import { defineLedger } from './define-ledger.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import { GONE_PID, rowsOfRun, writeRunFolder } from './journal/fixtures/run-folder.fixture.js';
import type { FolderToWrite } from './journal/fixtures/run-folder.fixture.js';
import { ownIdentity } from './journal/process-identity.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from './sink/fixtures/ledger-database.fixture.js';
import { assertConservation } from './testing/ledger-under-test.js';

const RUN = 0xab;
const NAME = '000000ab';

let database: LedgerDatabase;
let journalDir: string;
let id: string;
let said: string[];
let made: PostgresLedger[];
beforeEach(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'), { columns: { model: 'text' } });
  journalDir = await mkdtemp(join(tmpdir(), 'ledger-journal-'));
  const [row] = await database.sql<{ id: string }>(
    `SELECT id FROM "${database.schema}".usage_entries_identity`,
  );
  id = row!.id;
  said = [];
  made = [];
});
afterEach(async () => {
  for (const { ledger } of made) {
    await ledger.shutdown.finish();
    await ledger.recovery?.close();
    await ledger.sink.close();
  }
  await database.drop();
  await rm(journalDir, { recursive: true, force: true });
});

const say = (line: string): void => void said.push(line);

/** A folder of a run that was killed. */
async function folder(more: Partial<FolderToWrite>): Promise<string> {
  const dir = join(journalDir, 'default');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const { table, schema } = database;
  return writeRunFolder({
    dir,
    run: NAME,
    table,
    target: { schema, table: 'usage_entries', id },
    files: [],
    author: { ...ownIdentity(), pid: GONE_PID },
    ...more,
  });
}

function startLedger({ columns }: Pick<LedgerTable, 'columns'> = database.table): PostgresLedger {
  const { schema, url } = database;
  const definition = defineLedger({ schema, columns });
  const options = resolveLedgerOptions({ connection: { url }, migrations: 'verify', journalDir });
  const ledger = createLedger(definition, options, { log: say, warn: say, error: say });
  made.push(ledger);
  void ledger.ledger.writer.start((error) => say(String(error)));
  return ledger;
}

async function hasReplayed(): Promise<void> {
  while (!said.some((line) => /replayed \d+ entries of the journal/.test(line)))
    await realTimers.pause(20);
}

async function stored(): Promise<number> {
  const [row] = await database.sql<{ n: number }>('SELECT count(*)::int AS n FROM $T');
  return row!.n;
}

function command(...args: string[]): Promise<number> {
  return commandOf(database.table, ...args);
}

/** With a definition that is not the table's first one. */
function commandOf(table: LedgerTable, ...args: string[]): Promise<number> {
  const { url } = database;
  const all = [...args, '--database-url', url, ...definitionOptions(table)];
  return runProgram(all, outputTo(say));
}

describe('a ledger that starts', () => {
  it('writes what a killed run left, and what is in the table already is no second entry', async () => {
    const rows = rowsOfRun(database.table, RUN, 10_000, () => ({ userId: 1, model: 'm' }));
    await folder({ files: [[rows.slice(0, 100)]] });
    startLedger();
    await hasReplayed();
    expect(await stored()).toBe(100);
    said = [];
    const frames = Array.from({ length: 100 }, (_, at) => rows.slice(at * 100, at * 100 + 100));
    await folder({ files: [frames.slice(0, 50), frames.slice(50)] });
    const second = startLedger();
    await hasReplayed();
    expect(await stored()).toBe(10_000);
    expect(await readdir(join(journalDir, 'default'))).toEqual([]);
    const stats = made.map(({ ledger }) => ledger.stats());
    expect(stats.reduce((sum, { recovered }) => sum + recovered, 0)).toBe(10_100);
    expect(stats.reduce((sum, { written }) => sum + written, 0)).toBe(10_000);
    expect(second.ledger.counters.deadLettered).toBe(0);
    stats.forEach(assertConservation);
    expect(await command('verify')).toBe(0);
  });

  it('leaves alone what is of another database, and the commands show it', async () => {
    const rows = rowsOfRun(database.table, RUN, 5);
    const target = { schema: database.schema, table: 'usage_entries', id: 'another' };
    const path = await folder({ target, files: [[rows]] });
    startLedger();
    while (!said.some((line) => line.includes('to another database'))) await realTimers.pause(20);
    expect(await stored()).toBe(0);
    said = [];
    expect(await command('journal', 'list', '--journal-dir', journalDir)).toBe(0);
    expect(said.join('\n')).toMatch(/000000ab\s+ended\s+1 files.*\(id another\)/);
    said = [];
    expect(await command('journal', 'verify', '--journal-dir', journalDir)).toBe(0);
    expect(said.join('\n')).toContain('whole, 5 rows');
    said = [];
    expect(await command('journal', 'replay', '--journal-dir', journalDir)).toBe(0);
    expect(said.join('\n')).toContain(`${path} stays: it is for`);
    expect(await stored()).toBe(0);
    expect(await command('journal', 'replay', '--journal-dir', journalDir, '--force')).toBe(0);
    expect(await stored()).toBe(5);
  });

  it('may take a folder before `journal replay`, which goes on with the others', async () => {
    const runs = ['000000ab', '000000ac', '000000ad'];
    for (const [at, run] of runs.entries()) {
      await folder({ run, files: [[rowsOfRun(database.table, RUN + at, 5)]] });
    }
    const taken = join(journalDir, 'default', '000000ac');
    const takeOne = (line: string): void => {
      if (line.includes('is done') && existsSync(taken)) renameSync(taken, `${taken}.adopted-ff`);
      say(line);
    };
    const { url, table } = database;
    const args = ['journal', 'replay', '--journal-dir', journalDir, '--database-url', url];
    expect(await runProgram([...args, ...definitionOptions(table)], outputTo(takeOne))).toBe(0);
    expect(said).toContain(`${taken} is gone: another process has taken it`);
    expect(await stored()).toBe(10);
  });
});

describe('rows of an older definition', () => {
  async function alter(sql: string): Promise<void> {
    await database.sql(`ALTER TABLE $T ${sql}`);
  }

  it('are no conflict where a default filled the new column of those that were written', async () => {
    const old = database.table;
    const rows = rowsOfRun(old, RUN, 20, (index) => ({ userId: index + 1, model: 'm' }));
    await folder({ files: [[rows.slice(0, 10)]] });
    startLedger();
    await hasReplayed();
    said = [];
    await alter(`ADD COLUMN region text DEFAULT 'eu'`);
    await folder({ table: old, files: [[rows]] });
    const { ledger } = startLedger({ columns: { model: 'text', region: 'text' } });
    await hasReplayed();
    expect(ledger.counters).toMatchObject({ written: 10, duplicate: 10, deadLettered: 0 });
    assertConservation(ledger.stats());
    const found = await database.sql<{ region: string; n: number }>(
      'SELECT region, count(*)::int AS n FROM $T GROUP BY 1',
    );
    expect(found).toEqual([{ region: 'eu', n: 20 }]);
  });

  it('get that default from `journal replay` too', async () => {
    const old = database.table;
    const rows = rowsOfRun(old, RUN, 20, (index) => ({ userId: index + 1, model: 'm' }));
    await folder({ files: [[rows.slice(0, 10)]] });
    startLedger();
    await hasReplayed();
    await made[0]!.ledger.recovery?.close();
    await alter(`ADD COLUMN region text DEFAULT 'eu'`);
    await folder({ table: old, files: [[rows]] });
    const wider = { ...old, columns: { model: 'text', region: 'text' } } as const;
    const replay = ['journal', 'replay', '--journal-dir', journalDir];
    expect(await commandOf(wider, ...replay, '--dry-run')).toBe(0);
    expect(said.at(-1)).toBe('dry run: 10 would be written, 10 already there, 0 would be refused');
    expect(await commandOf(wider, ...replay)).toBe(0);
    expect(said.at(-1)).toBe('replayed: 10 written, 10 already there, 0 refused');
    const found = await database.sql<{ region: string; n: number }>(
      'SELECT region, count(*)::int AS n FROM $T GROUP BY 1',
    );
    expect(found).toEqual([{ region: 'eu', n: 20 }]);
  });

  it('change with the type of a column', async () => {
    const old = database.table;
    await alter('ADD COLUMN retries integer');
    const wider: LedgerTable = { ...old, columns: { model: 'text', retries: 'integer' } };
    const rows = rowsOfRun(wider, RUN, 20, (index) => ({ userId: index + 1, retries: index }));
    await alter('ALTER COLUMN retries TYPE bigint');
    await folder({ table: wider, files: [[rows]] });
    const { ledger } = startLedger({ columns: { model: 'text', retries: 'bigint' } });
    await hasReplayed();
    expect(ledger.counters).toMatchObject({ written: 20, deadLettered: 0 });
    assertConservation(ledger.stats());
    const [sum] = await database.sql<{ n: string }>('SELECT sum(retries)::text AS n FROM $T');
    expect(sum!.n).toBe('190');
  });
});

describe('verify', () => {
  it('counts rows in the journal as not missing', async () => {
    const rows = rowsOfRun(database.table, RUN, 5);
    for (const kept of [rows.slice(0, 2), rows.slice(4)]) {
      await folder({ run: NAME, files: [[kept]] });
      startLedger();
      await hasReplayed();
      said = [];
      await made.at(-1)!.ledger.recovery?.close();
    }
    expect(await command('verify', '--grace', '0')).toBe(1);
    await folder({ run: 'ffffffff', files: [[rows.slice(2, 4)]] });
    expect(await command('verify', '--grace', '0', '--journal-dir', journalDir)).toBe(0);
  });
});

describe('doctor', () => {
  it('names what others can read', async () => {
    const path = await folder({ files: [[rowsOfRun(database.table, RUN, 1)]] });
    chmodSync(join(path, '000001.wal'), 0o644);
    process.env['LEDGER_ASYNC_JOURNAL_DIR'] = journalDir;
    try {
      await command('doctor');
    } finally {
      delete process.env['LEDGER_ASYNC_JOURNAL_DIR'];
    }
    expect(said.join('\n')).toContain('others can read 1 files or folders of the journal');
    expect(said.join('\n')).toContain('1 run that ended left');
  });
});
