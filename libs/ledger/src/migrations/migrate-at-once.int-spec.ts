import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { INSTALLED_LEDGERS, restoreInstalled } from './fixtures/installed-database.fixture.js';
import { verifyTable } from './fixtures/wired-migrations.fixture.js';

const PROCESSES = 8;
const schema = `migrate ${randomUUID()}`;
const fresh = { schema, columns: { model: 'text' }, immutable: true, rollup: true } as const;

/** Inside the library, to use its dependencies. */
const folder = fileURLToPath(new URL(`../../.tmp/migrations-${randomUUID()}`, import.meta.url));

/** JavaScript of the library, for plain Node. */
async function transpile(): Promise<void> {
  const source = fileURLToPath(new URL('..', import.meta.url));
  const all = await readdir(source, { recursive: true });
  for (const name of all.filter((each) => /(?<![.-]spec|[.]d)[.]ts$/.test(each))) {
    const { outputText } = ts.transpileModule(await readFile(join(source, name), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    });
    const target = join(folder, name.replace(/\.ts$/, '.js'));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, outputText);
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(
    join(folder, 'child.js'),
    `import { defineLedger } from './define-ledger.js';
     import { INSTALLED_LEDGERS } from './migrations/fixtures/installed-database.fixture.js';
     import { runMigrations } from './migrations/fixtures/wired-migrations.fixture.js';
     const [url, fresh] = process.argv.slice(2);
     const ledgers = fresh ? [defineLedger(JSON.parse(fresh))] : INSTALLED_LEDGERS;
     const ran = [];
     for (const each of ledgers) ran.push(...(await runMigrations({ type: 'postgres', url }, each)));
     process.stdout.write(JSON.stringify(ran));`,
  );
}

/** @returns names of the migrations that all processes ran */
async function startTogether(...args: string[]): Promise<string[]> {
  const run = promisify(execFile);
  const children = Array.from({ length: PROCESSES }, () =>
    run(process.execPath, [join(folder, 'child.js'), ...args]),
  );
  const outputs = await Promise.all(children);
  return outputs.flatMap(({ stdout }) => JSON.parse(stdout) as string[]);
}

describe('eight processes started at once', () => {
  beforeAll(transpile);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('all start, and each migration of an empty database ran once', async () => {
    const url = inject('databaseUrl');
    const usage = defineLedger(fresh);
    const names = usage.migrations.map((Migration) => new Migration().name);
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    try {
      const ran = await startTogether(url, JSON.stringify(fresh));
      expect(ran.toSorted()).toEqual(names.toSorted());
      const query = async (sql: string, values: unknown[]): Promise<unknown> =>
        (await admin.query(sql, values)).rows;
      expect(await verifyTable(query, usage)).toEqual([]);
    } finally {
      await admin.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
      await admin.end();
    }
  });

  it('all start, and each migration of a database of the previous version ran once', async () => {
    const database = await restoreInstalled(inject('databaseUrl'));
    try {
      const ran = await startTogether(database.url);
      expect(ran).toContain('fixed.usage_entries:refuse_changes:1767225600005');
      expect(ran).toEqual([...new Set(ran)]);
      expect(ran.join()).not.toContain('create_entries');
      const query = async (sql: string, values: unknown[]): Promise<unknown> =>
        (await database.client.query(sql, values)).rows;
      for (const definition of INSTALLED_LEDGERS) {
        expect(await verifyTable(query, definition)).toEqual([]);
      }
    } finally {
      await database.drop();
    }
  });
});
