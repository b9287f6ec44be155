import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COMMAND = 'libs/ledger/dist/esm/cli/main.js';
const run = promisify(execFile);

let database: FaultDatabase;
let app: FaultApp;
let folder: string;
beforeAll(async () => {
  database = await FaultDatabase.start();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-command-'));
  app = await FaultApp.start(database.url, { SHUTDOWN_TIMEOUT_MS: 1000 });
  app.load(1000);
  await app.until(({ written }) => written > 100);
  await database.kill();
  await app.until(({ depth }) => depth > 100);
  await app.end('SIGTERM');
  await database.restart();
});
afterAll(async () => {
  await app?.dispose();
  await database?.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** The command as npx runs it, in a folder without files of a ledger. */
async function command(...args: string[]): Promise<{ code: number; text: string }> {
  const env = { PATH: process.env['PATH'], LEDGER_DATABASE_URL: database.url };
  const argv = [join(ROOT, COMMAND), ...args];
  const { stdout, stderr, code } = await run(process.execPath, argv, { cwd: folder, env }).then(
    (done) => ({ ...done, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed,
  );
  return { code, text: stdout + stderr };
}

describe('npx nestjs-ledger', { timeout: 30_000 }, () => {
  it('verifies, replays and verifies again', async () => {
    const at = ['--schema', 'faults', '--grace', '0'];
    const { spilled, run: id } = app.stats!;
    expect(spilled).toBeGreaterThan(100);
    const spillsIncluded = await command('verify', ...at, '--files', app.spillDir);
    expect(spillsIncluded).toMatchObject({ code: 0 });
    expect(spillsIncluded.text).toContain(`run ${id} `);
    const replayed = await command('replay', app.spillDir, '--schema', 'faults');
    expect(replayed.text).toMatch(/replayed: \d+ written, \d+ already there, 0 refused/);
    expect(replayed.code).toBe(0);
    expect(await readdir(app.spillDir)).toEqual(['replayed']);
    expect(await command('verify', ...at)).toMatchObject({ code: 0 });
    await database.sql(`DELETE FROM faults.usage_entries WHERE prompt_tokens = 7`);
    expect(await command('verify', ...at)).toMatchObject({ code: 1 });
  });

  it('may be interrupted and repeated', async () => {
    await database.sql('TRUNCATE faults.usage_entries');
    const [file] = await readdir(join(app.spillDir, 'replayed'));
    const path = join(app.spillDir, 'replayed', file!);
    const env = { PATH: process.env['PATH'], LEDGER_DATABASE_URL: database.url };
    const argv = [join(ROOT, COMMAND), 'replay', path, '--schema', 'faults'];
    const killed = run(process.execPath, argv, {
      cwd: folder,
      env,
      timeout: 450,
      killSignal: 'SIGKILL',
    });
    await killed.catch(() => undefined);
    const rest = await command('replay', await whereIs(path), '--schema', 'faults');
    expect(rest.code).toBe(0);
    const [row] = await database.sql<{ n: number }>(
      'SELECT count(*)::int AS n FROM faults.usage_entries',
    );
    expect(row!.n).toBe(app.stats!.spilled);
  });

  it('is no part of the library: importing that loads none of it', async () => {
    const script = join(folder, 'probe.mjs');
    const entry = join(ROOT, 'libs/ledger/dist/esm/index.js');
    await writeFile(
      script,
      `import { Module } from 'node:module';
       await import(${JSON.stringify(entry)});
       const loaded = Object.keys(Module._cache);
       if (!loaded.some((path) => path.includes('typeorm'))) throw new Error('not seen at all');
       console.log(loaded.filter((path) => /commander|cli-progress/.test(path)).length);`,
    );
    expect((await run(process.execPath, [script])).stdout).toBe('0\n');
  });

  it('and the dashboard are no part of what the library’s own entry point loads', async () => {
    // Of the same modules as CommonJS Node tells which were loaded.
    const entry = join(ROOT, 'libs/ledger/dist/cjs/index.js');
    const script = join(folder, 'probe.cjs');
    await writeFile(
      script,
      `require(${JSON.stringify(entry)});
       const loaded = Object.keys(require.cache).flatMap((path) => {
         return /nestjs-ledger|libs.ledger/.test(path) ? [path.split(/dist.cjs./)[1]] : [];
       });
       if (!loaded.includes('ledger.service.js')) throw new Error('not seen at all');
       console.log(loaded.filter((path) => /^(cli|dashboard|init)./.test(path)).length);`,
    );
    expect((await run(process.execPath, [script])).stdout).toBe('0\n');
  });

  it('ends at once where the server is still waiting for a password', async () => {
    const url = new URL(database.url);
    url.password = '';
    const { code, text } = await command('verify', '--database-url', url.href);
    expect(code).toBe(2);
    expect(text).toContain("the database can't be reached");
  });

  it('explains itself', async () => {
    expect(await command('--help')).toMatchObject({ code: 0 });
    expect((await command('replay', '--help')).text).toContain('--from-table');
    expect(await command('nonsense')).toMatchObject({ code: 2 });
    expect(await command('verify', '--from', 'yesterday')).toMatchObject({ code: 2 });
  });
});

/** The interrupted replay may have got as far as moving the file. */
async function whereIs(path: string): Promise<string> {
  const moved = join(path, '..', 'replayed');
  const names = await readdir(moved).catch(() => []);
  return names.length > 0 ? moved : path;
}
