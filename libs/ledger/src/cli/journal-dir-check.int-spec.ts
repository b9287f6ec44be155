import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { GONE_PID, rowsOfRun, writeRunFolder } from '../journal/fixtures/run-folder.fixture.js';
import { ownIdentity } from '../journal/process-identity.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import type { Diagnosis } from './health-checks.js';
import { runProgram } from './program.js';

const url = inject('databaseUrl');
let database: LedgerDatabase;
let dir: string;

beforeEach(async () => {
  database = await createLedgerDatabase(url, { ids: 'text' });
  dir = await mkdtemp(join(tmpdir(), 'ledger-doctor-journal-'));
});
afterEach(async () => {
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

describe('the journal, as doctor sees it', () => {
  const RUN = 0xab;
  const ENDED = { ...ownIdentity(), pid: GONE_PID };

  async function identity(): Promise<string> {
    const [row] = await database.sql<{ id: string }>(
      `SELECT id FROM "${database.schema}".usage_entries_identity`,
    );
    return row!.id;
  }

  async function leave(run: string, table: string, id: string): Promise<string> {
    const ofLedger = join(dir, 'journal', 'default');
    await mkdir(ofLedger, { recursive: true, mode: 0o700 });
    const { table: definition, schema } = database;
    const rows = rowsOfRun(definition, RUN, 3, (index) => ({ userId: `u${index}` }));
    const target = { schema, table, id };
    const folder = { dir: ofLedger, run, table: definition, target, files: [[rows]] };
    return writeRunFolder({ ...folder, author: ENDED });
  }

  const journalLines = async (): Promise<Diagnosis[]> => {
    const said: string[] = [];
    const args = ['doctor', '--json', '--database-url', url, ...definitionOptions(database.table)];
    const folders = ['--spill-dir', dir, '--journal-dir', join(dir, 'journal')];
    await runProgram(
      [...args, ...folders],
      outputTo((text) => void said.push(text)),
    );
    const { checks } = JSON.parse(said.join('\n')) as { checks: Diagnosis[] };
    return checks.filter(({ check }) => check === 'journal');
  };

  it('is tried, and leaves no folder behind', async () => {
    expect(await journalLines()).toMatchObject([
      {
        status: 'ok',
        message: expect.stringMatching(/accepts and syncs files, 0 runs in progress$/),
      },
    ]);
    expect(await readdir(dir)).toEqual([]);
  });

  it('is a fault where it can’t be written', async () => {
    await writeFile(join(dir, 'journal'), '');
    expect(await journalLines()).toMatchObject([
      { status: 'fault', message: expect.stringMatching(/\(EEXIST\): no ledger starts$/) },
    ]);
  });

  it('has runs that ended, and folders of another database, each named', async () => {
    const own = await leave('000000ab', 'usage_entries', await identity());
    const other = await leave('000000ac', 'usage_entries', randomUUID());
    const lines = await journalLines();
    expect(lines.map(({ status }) => status)).toEqual(['warning', 'warning']);
    expect(lines[0]!.message).toContain(other);
    expect(lines[0]!.message).toContain('no start of this ledger writes them');
    expect(lines[0]!.remedy).toContain('journal replay');
    expect(lines[1]!.message).toContain(`1 run that ended left 0.0 MiB, as ${own}`);
  });

  it('asks for the right to read the id of the table', async () => {
    await database.sql(`DROP TABLE "${database.schema}".usage_entries_identity`);
    expect(await journalLines()).toMatchObject([
      { status: 'ok' },
      {
        status: 'warning',
        remedy: expect.stringContaining('GRANT SELECT ON usage_entries_identity'),
      },
    ]);
  });
});
