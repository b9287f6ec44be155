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
/** Options for the ledger of the application. */
let own: string[];
beforeAll(async () => {
  database = await FaultDatabase.start();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-command-'));
  own = ['-d', await definitionFile('faults.ledger.mjs', imported('esm'))];
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

const imported = (format: 'esm' | 'cjs'): string =>
  JSON.stringify(join(ROOT, `libs/ledger/dist/${format}/index.js`));

async function definitionFile(name: string, from: string): Promise<string> {
  const path = join(folder, name);
  const isCommonJs = name.endsWith('.cjs');
  const load = isCommonJs
    ? `const { defineLedger } = require(${from});`
    : `import { defineLedger } from ${from};`;
  const definition = `defineLedger({ schema: 'faults' })`;
  const save = isCommonJs ? 'exports.usage =' : 'export const usage =';
  await writeFile(path, `${load}\n${save} ${definition};\n`);
  return path;
}

describe('the definition of a command', () => {
  it.each([
    ['ES module with the command’s copy', 'same.mjs', 'esm'],
    ['ES module with another copy', 'other.mjs', 'cjs'],
    ['CommonJS module with another copy', 'other.cjs', 'cjs'],
  ] as const)('is taken from an application’s file: %s', async (_, name, format) => {
    const path = await definitionFile(name, imported(format));
    const { code, text } = await command('migrate', '-d', path, '--sql');
    expect(text).toContain('CREATE TABLE IF NOT EXISTS "faults"."usage_entries"');
    expect(code).toBe(0);
    // A path is that of the working directory.
    expect(await command('migrate', '--definition', name, '--sql')).toEqual({ code, text });
  });

  it('is TypeScript where the runtime can load it; else the error says what to give', async () => {
    const path = await definitionFile('usage.ledger.ts', imported('esm'));
    const { code, text } = await command('migrate', '-d', path, '--sql');
    if ('typescript' in process.features && process.features.typescript) {
      expect(text).toContain('CREATE TABLE IF NOT EXISTS "faults"."usage_entries"');
      expect(code).toBe(0);
      return;
    }
    expect(text).toContain('Give the compiled file, such as dist/usage.ledger.js');
    expect(code).toBe(2);
  });

  it('is TypeScript with a loader that is registered, for import or for require', async () => {
    const path = await definitionFile('usage.ledger.cts', imported('cjs'));
    const hook = join(folder, 'register.cjs');
    await writeFile(
      hook,
      `require('module')._extensions['.cts'] = (module, path) =>
         module._compile("exports.usage = require(" + JSON.stringify(${imported('cjs')}) +
           ").defineLedger({ schema: 'hooked' })", path);`,
    );
    const env = { PATH: process.env['PATH'], NODE_OPTIONS: `--require ${hook}` };
    const { stdout } = await run(
      process.execPath,
      [join(ROOT, COMMAND), 'migrate', '-d', path, '--sql'],
      { cwd: folder, env },
    );
    expect(stdout).toMatch(/CREATE TABLE IF NOT EXISTS "(hooked|faults)"."usage_entries"/);
  });
});

it('the environment of a command is completed by the .env of its folder', async () => {
  const env = { PATH: process.env['PATH'] };
  const argv = [join(ROOT, COMMAND), 'verify', ...own];
  const atHome = await mkdtemp(join(folder, 'home-'));
  await writeFile(join(atHome, '.env'), `LEDGER_DATABASE_URL=${database.url}\n`);
  const { stdout } = await run(process.execPath, argv, { cwd: atHome, env });
  expect(stdout).toContain('0 missing');
});

describe('npx nestjs-ledger', () => {
  it('verifies, replays and verifies again', async () => {
    const at = [...own, '--grace', '0'];
    const { spilled, run: id } = app.stats!;
    expect(spilled).toBeGreaterThan(100);
    const spillsIncluded = await command('verify', ...at, '--files', app.spillDir);
    expect(spillsIncluded).toMatchObject({ code: 0 });
    expect(spillsIncluded.text).toContain(`run ${id} `);
    const replayed = await command('replay', app.spillDir, ...own);
    expect(replayed.text).toMatch(/replayed: \d+ written, \d+ already there, 0 refused/);
    expect(replayed.code).toBe(0);
    expect(await readdir(app.spillDir)).toEqual(['replayed']);
    expect(await command('verify', ...at)).toMatchObject({ code: 0 });
    await database.sql(`DELETE FROM faults.usage_entries WHERE prompt_tokens = 7`);
    expect(await command('verify', ...at)).toMatchObject({ code: 1 });
  });

  it('may be interrupted and repeated', async () => {
    await database.sql('TRUNCATE faults.usage_entries');
    const done = join(app.spillDir, 'replayed');
    // What was spilled at the deadline, and what came after the seal.
    const files = await readdir(done);
    const env = { PATH: process.env['PATH'], LEDGER_DATABASE_URL: database.url };
    const argv = [join(ROOT, COMMAND), 'replay', done, ...own];
    const killed = run(process.execPath, argv, {
      cwd: folder,
      env,
      timeout: 450,
      killSignal: 'SIGKILL',
    });
    await killed.catch(() => undefined);
    for (const file of files) {
      const path = await whereIs(done, file);
      const rest = await command('replay', path, ...own);
      expect(rest.code, rest.text).toBe(0);
    }
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
    // For the same modules as CommonJS, Node reports which were loaded.
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
async function whereIs(folder: string, file: string): Promise<string> {
  const moved = join(folder, 'replayed');
  const names = await readdir(moved).catch((): string[] => []);
  return join(names.includes(file) ? moved : folder, file);
}
