import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify, stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { NEEDED_PACKAGES } from '../libs/ledger/src/cli/init/plan-packages.js';
import { buildIfStale, compileProject, ExampleApp } from './support/example-app.js';
import { OwnSchema } from '../libs/ledger/src/postgres/fixtures/own-schema.fixture.js';
import { readManifest } from './support/packed-package.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const COMMAND = join(ROOT, 'libs/ledger/dist/esm/cli/main.js');
/** For `nest new` and the compiler on a busy machine. */
const LIMIT_MS = 120_000;
const run = promisify(execFile);

let folder: string;

beforeAll(async () => {
  await buildIfStale();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-init-'));
  await nest(folder, ['new', 'esm', '--skip-install', '--skip-git', '-p', 'npm', '--no-observe']);
  const app = join(folder, 'esm');
  // What it would install is in the repository.
  await symlink(join(ROOT, 'node_modules'), join(app, 'node_modules'));
  await cp(app, join(folder, 'added'), { recursive: true, verbatimSymlinks: true });
  await cp(app, join(folder, 'cjs'), { recursive: true, verbatimSymlinks: true });
  await makeCommonJs(join(folder, 'cjs'));
}, LIMIT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the Nest CLI. @returns what it printed, without colours */
async function nest(cwd: string, args: string[]): Promise<string> {
  const cli = createRequire(import.meta.url).resolve('@nestjs/cli/package.json');
  const script = join(cli, '../bin/nest.js');
  const { stdout } = await run(process.execPath, [script, ...args], { cwd });
  return stripVTControlCharacters(stdout);
}

/** As the Nest CLI wrote applications until version 11. */
async function makeCommonJs(app: string): Promise<void> {
  const change = async (path: string, edit: (text: string) => string): Promise<void> =>
    writeFile(path, edit(await readFile(path, 'utf8')));
  await change(join(app, 'package.json'), (text) => text.replace(/ *"type": "module",\n/, ''));
  for (const name of await readdir(join(app, 'src'))) {
    await change(join(app, 'src', name), (text) =>
      text.replaceAll(/(from '\.[^']*)\.js'/g, "$1'").replace('await bootstrap', 'void bootstrap'),
    );
  }
}

async function init(app: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [COMMAND, 'init', ...args], { cwd: app });
  return stdout;
}

async function sourcesOf(app: string): Promise<Record<string, string>> {
  const names = ['src/app.module.ts', 'src/main.ts', 'src/ledger.config.ts', '.env.example'];
  const texts = names.map((name) => readFile(join(app, name), 'utf8').catch(() => ''));
  const read = await Promise.all(texts);
  return Object.fromEntries(names.map((name, index) => [name, read[index] ?? '']));
}

describe.each(['esm', 'cjs'])('init in a new application of the Nest CLI, %s', (kind) => {
  const ending = kind === 'esm' ? '.js' : '';

  it(
    'shows what it would do, does it, and then finds nothing to do',
    { timeout: LIMIT_MS },
    async () => {
      const app = join(folder, kind);
      const before = await sourcesOf(app);
      const shown = await init(app, '--dry-run');
      expect(shown).toContain('+  app.enableShutdownHooks();');
      expect(shown).toContain(`+import { ledgerModule } from './ledger.config${ending}';`);
      // Nobody can be asked here, and nothing was done.
      await expect(init(app)).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining('nothing written: give --yes') as string,
      });
      expect(await sourcesOf(app)).toEqual(before);

      const said = await init(app, '--yes');
      expect(said).toContain('wrote src/app.module.ts, src/ledger.config.ts');
      expect(said).toMatch(
        /^next:\n {2}1\. install the missing packages: npm install nestjs-ledger@0 /m,
      );
      const after = await sourcesOf(app);
      expect(after['.env.example']).toContain('LEDGER_DATABASE_URL=');
      expect(await init(app, '--yes')).toContain('nothing to change');
      expect(await sourcesOf(app)).toEqual(after);
    },
  );

  it('leaves an application that compiles, starts and drains', { timeout: LIMIT_MS }, async () => {
    const app = join(folder, kind);
    const tsconfig = { extends: './tsconfig.json', include: ['src'], exclude: ['**/*.spec.ts'] };
    const options = { types: ['node'], rootDir: 'src', outDir: 'dist', incremental: false };
    await writeFile(
      join(app, 'tsconfig.json'),
      (await readFile(join(app, 'tsconfig.json'), 'utf8')).replace(/"baseUrl": "[^"]*",?/, ''),
    );
    const project = join(app, 'tsconfig.test.json');
    await writeFile(project, JSON.stringify({ ...tsconfig, compilerOptions: options }));
    await compileProject(project, app);
    const schema = await OwnSchema.create(inject('databaseUrl'));
    try {
      const environment = { LEDGER_DATABASE_URL: schema.url };
      const example = await ExampleApp.start(app, 'dist/main.js', environment);
      try {
        expect(await (await fetch(example.url)).text()).toBe('Hello World!');
        const said = await example.terminate();
        expect(said).toContain('profile auto');
        expect(said).toContain('drained: 0 written');
      } finally {
        await example.kill();
      }
    } finally {
      await schema.drop();
    }
  });
});

describe('nest add', () => {
  it('makes the same changes, once', { timeout: LIMIT_MS }, async () => {
    const app = join(folder, 'added');
    const said = await nest(app, ['add', 'nestjs-ledger', '--skip-install']);
    expect(said).toContain('+++ src/app.module.ts');
    expect(await sourcesOf(app)).toEqual(await sourcesOf(join(folder, 'esm')));
    expect(await nest(app, ['add', 'nestjs-ledger', '--skip-install'])).toContain(
      'nothing to change',
    );
  });
});

it('names every package that the library needs beside what each application has', async () => {
  const { peerDependencies, peerDependenciesMeta } = await readManifest();
  const always = ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs'];
  const needed = Object.keys(peerDependencies ?? {}).filter(
    (name) => !peerDependenciesMeta?.[name]?.optional && !always.includes(name),
  );
  expect([...NEEDED_PACKAGES].sort()).toEqual([...needed, 'nestjs-ledger'].sort());
});
