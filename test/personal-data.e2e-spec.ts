import { defineLedger, type LedgerDefinition } from 'nestjs-ledger';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startDefinedLedger } from './faults/support/ledger-module.js';
import { FaultDatabase } from './faults/support/fault-database.js';
import { exampleOf } from './support/markdown.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMMAND = join(ROOT, 'libs/ledger/dist/esm/cli/main.js');
const run = promisify(execFile);
/** The person of the page. */
const PERSON = 42;
const DAY = new Date('2026-03-03T12:00:00Z');

let database: FaultDatabase;
let page: string;
let folder: string;
beforeAll(async () => {
  database = await FaultDatabase.start();
  page = await readFile(join(ROOT, 'docs/personal-data.md'), 'utf8');
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-personal-'));
});
afterEach(async () => {
  await database.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => database?.dispose());

const sql = (name: string) => database.sql(exampleOf(page, name));

/** A command of the page, with the definition of this test. @returns its exit code and what it printed */
async function command(text: string): Promise<{ code: number; text: string }> {
  expect(page).toContain(`npx nestjs-ledger ${text}`);
  const file = join(folder, 'usage.ledger.mjs');
  const env = { PATH: process.env['PATH'], LEDGER_DATABASE_URL: database.url };
  const argv = [COMMAND, ...text.split(' '), '-d', file];
  const done = run(process.execPath, argv, { cwd: folder, env });
  return done.then(
    ({ stdout }) => ({ code: 0, text: stdout }),
    (failed: { code: number; stdout: string }) => ({ code: failed.code, text: failed.stdout }),
  );
}

/** Ten entries of the person and ten of another, written; one of the person set aside. */
async function fill(definition: LedgerDefinition, options: string): Promise<void> {
  const index = JSON.stringify(join(ROOT, 'libs/ledger/dist/esm/index.js'));
  const module = `import { defineLedger } from ${index};\nexport default defineLedger(${options});\n`;
  await writeFile(join(folder, 'usage.ledger.mjs'), module);
  const { app, ledger } = await startDefinedLedger(definition, {
    connection: { url: database.url },
    migrations: 'run',
    spillDir: join(folder, 'ledger-spill'),
    retryMinMs: 10,
    retryMaxMs: 50,
  });
  await database.sql(`ALTER TABLE usage_entries ADD CONSTRAINT no_secret CHECK (memo <> 'secret')`);
  for (let i = 0; i < 10; i++) {
    ledger.record({ userId: PERSON, promptTokens: 2, memo: 'theirs', createdAt: DAY });
    ledger.record({ userId: 7, promptTokens: 3, createdAt: DAY });
  }
  ledger.record({ userId: PERSON, promptTokens: 5, memo: 'secret', createdAt: DAY });
  await ledger.flush();
  await app.close();
  expect(ledger.stats()).toMatchObject({ written: 20, deadLettered: 1, depth: 0, inFlight: 0 });
}

const traces = (): Promise<{ place: string; rows: number }[]> =>
  database.sql(`SELECT 'entries' AS place, count(*)::int AS rows FROM usage_entries WHERE user_id = ${PERSON}
    UNION ALL SELECT 'dead letters', count(*)::int FROM usage_entries_dead_letters
    WHERE entry::text LIKE '%secret%' ORDER BY place`);

const NOTHING = [
  { place: 'dead letters', rows: 0 },
  { place: 'entries', rows: 0 },
];

describe('deleting a person as docs/personal-data.md says', () => {
  it('leaves nothing of them in a plain ledger, and everything of others', async () => {
    await fill(defineLedger(), '');
    expect(await sql('export')).toHaveLength(10);
    expect(await command('replay ledger-spill')).toMatchObject({ code: 0 });
    await sql('delete');
    expect(await traces()).toEqual(NOTHING);
    expect(await database.sql('SELECT FROM usage_entries')).toHaveLength(10);
  });

  it('works where rollups and immutability protect a partitioned table', async () => {
    const definition = { rollup: true, immutable: true, partition: 'month' } as const;
    await fill(defineLedger(definition), JSON.stringify(definition));
    await expect(sql('delete')).rejects.toMatchObject({ code: '23001' });
    expect(await command('rollup')).toMatchObject({ code: 0 });
    expect(await command('rollup --pause')).toMatchObject({ code: 0 });
    await sql('immutable');
    await sql('delete');
    const { text } = await command('doctor');
    expect(text).toContain('trigger usage_entries_immutable on usage_entries is disabled');
    expect(text).toContain('rollups are paused');
    expect(await command('rollup --rebuild')).toMatchObject({ code: 0 });
    await sql('protect');
    expect(await traces()).toEqual(NOTHING);
    const buckets = `SELECT FROM usage_entries_rollups WHERE series = 0 AND key = ${PERSON}`;
    expect(await database.sql(buckets)).toEqual([]);
    await expect(database.sql('DELETE FROM usage_entries')).rejects.toMatchObject({
      code: '23001',
    });
  });

  it('may keep the figures, of nobody', async () => {
    await fill(defineLedger(), '');
    await sql('anonymise');
    expect(await traces()).toEqual(NOTHING);
    const sums =
      'SELECT count(*)::int AS entries, sum(prompt_tokens)::int AS tokens FROM usage_entries';
    expect(await database.sql(sums)).toEqual([{ entries: 20, tokens: 50 }]);
  });
});
