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
import { verifyTable } from './fixtures/wired-migrations.fixture.js';

describe('eight processes that start at once', () => {
  const schema = `migrate ${randomUUID()}`;
  let admin: pg.Client;
  const folder = fileURLToPath(
    new URL(`../../../../.tmp/migrations-${randomUUID()}`, import.meta.url),
  );

  /** JavaScript of what the migrations need, so that plain Node can run it. */
  async function transpile(names: readonly string[]): Promise<void> {
    const source = fileURLToPath(new URL('..', import.meta.url));
    for (const name of names) {
      const { outputText } = ts.transpileModule(await readFile(join(source, name), 'utf8'), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
      });
      const target = join(folder, name.replace(/\.ts$/, '.js'));
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, outputText);
    }
  }

  beforeAll(async () => {
    admin = new pg.Client({ connectionString: inject('databaseUrl') });
    await admin.connect();
    const all = await readdir(new URL('..', import.meta.url), { recursive: true });
    const names = all.filter((name) => /(?<![.-]spec|[.]d)[.]ts$/.test(name));
    await transpile(names);
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(
      join(folder, 'child.js'),
      `import { defineLedger } from './define-ledger.js';
       import { tableExtensions } from './ledger.extensions.js';
       import { runMigrations } from './migrations/run-migrations.js';
       const [url, schema] = process.argv.slice(2);
       const usage = defineLedger({ schema, columns: { model: 'text' } });
       const ran = await runMigrations({ type: 'postgres', url }, usage, {
         extensions: tableExtensions,
       });
       process.stdout.write(String(ran.length));`,
    );
  });

  afterAll(async () => {
    await admin.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`);
    await admin.end();
    await rm(folder, { recursive: true, force: true });
  });

  it('all start, and one of them has migrated', async () => {
    const run = promisify(execFile);
    const args = [join(folder, 'child.js'), inject('databaseUrl'), schema];
    const children = Array.from({ length: 8 }, () => run(process.execPath, args));
    const outputs = (await Promise.all(children)).map(({ stdout }) => stdout);
    expect(outputs.toSorted()).toEqual(['0', '0', '0', '0', '0', '0', '0', '4']);
    const usage = defineLedger({ schema, columns: { model: 'text' } });
    const query = async (sql: string, values: unknown[]): Promise<unknown> =>
      (await admin.query(sql, values)).rows;
    expect(await verifyTable(query, usage)).toEqual([]);
  });
});
