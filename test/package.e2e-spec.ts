import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { APP_TSCONFIG, buildIfStale, compileProject, ExampleApp } from './support/example-app.js';
import { exampleOf } from './support/markdown.js';
import { installInEmptyApp, packLibrary, readManifest } from './support/packed-package.js';
import type { Manifest, Packed } from './support/packed-package.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = join(ROOT, 'libs/ledger/src');
/** For building, and for a registry that is slow. */
const INSTALL_LIMIT_MS = 240_000;
const run = promisify(execFile);

/** What applications may rely on, apart from types. */
const NAMES = [
  ['LedgerModule', 'LedgerService', 'LedgerHealthIndicator', 'LedgerInterceptor'],
  ['defineLedger', 'defaultLedger', 'newEntryUuid', 'LEDGER_PROFILES'],
  ['InjectLedger', 'getLedgerToken', 'getLedgerHealthToken', 'RecordUsage', 'Usage'],
  ['ledgerConfig', 'createLedgerConfig'],
].flat();
const ERRORS = [
  ['Ledger', 'LedgerOptions', 'LedgerDefinition', 'LedgerEntryInvalid', 'LedgerRead'],
  ['LedgerWaitTimeout', 'LedgerSealed', 'LedgerDeadLettered', 'LedgerSpilled'],
  ['SinkTransient', 'SinkRow', 'SinkHalt'],
].flat();
const TESTING_NAMES = ['LedgerTestingModule', 'ManualClock', 'describeSinkConformance'];

let folder: string;
let manifest: Manifest;
let packed: Packed;

beforeAll(async () => {
  await buildIfStale();
  manifest = await readManifest();
  // Outside the repository, so that nothing is found in its node_modules.
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-package-'));
  packed = await packLibrary(folder);
}, INSTALL_LIMIT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the manifest of nestjs-ledger', () => {
  it('declares every package that its sources import', async () => {
    const names = await readdir(SOURCE, { recursive: true });
    const imported = new Set<string>();
    for (const name of names) {
      if (!name.endsWith('.ts') || /spec\.ts$|fixtures\//.test(name)) continue;
      const { importedFiles } = ts.preProcessFile(await readFile(join(SOURCE, name), 'utf8'));
      for (const { fileName } of importedFiles) {
        if (fileName.startsWith('.') || isBuiltIn(fileName)) continue;
        imported.add(fileName.split('/', fileName.startsWith('@') ? 2 : 1).join('/'));
      }
    }
    const { dependencies, peerDependencies } = manifest;
    const declared = Object.keys({ ...dependencies, ...peerDependencies });
    expect([...imported].filter((name) => !declared.includes(name))).toEqual([]);
    expect(imported.size).toBeGreaterThan(5);
  });

  it('has a file for each command and each condition of each entry point, packed too', () => {
    for (const target of [...Object.values(manifest.exports), manifest.bin ?? {}]) {
      for (const path of typeof target === 'string' ? [target] : Object.values(target)) {
        expect(existsSync(join(ROOT, 'libs/ledger', path)), path).toBe(true);
        expect(packed.files).toContain(path.replace('./', ''));
      }
    }
  });
});

function isBuiltIn(name: string): boolean {
  return name.startsWith('node:') || builtinModules.includes(name);
}

describe('the tarball of nestjs-ledger', () => {
  it('holds code, its sources for debuggers, manifest, README and licence, and no test', () => {
    const others = packed.files.filter((path) => !/^(dist|src)\//.test(path));
    expect(others).toEqual(['LICENSE', 'README.md', 'package.json']);
    expect(packed.files.filter((path) => /spec\.|fixture/.test(path))).toEqual([]);
    expect(packed.unpackedBytes).toBeLessThan(3_000_000);
  });

  it('has a source for each source map', async () => {
    const maps = packed.files.filter((path) => path.endsWith('.js.map'));
    expect(maps.length).toBeGreaterThan(50);
    const missing = maps.filter((path) => {
      return !packed.files.includes(path.replace(/^dist/, 'src').replace(/\.js\.map$/, '.ts'));
    });
    expect(missing).toEqual([]);
  });

  it('carries the licence of the repository', async () => {
    const [own, root] = await Promise.all(
      ['libs/ledger/LICENSE', 'LICENSE'].map((path) => readFile(join(ROOT, path), 'utf8')),
    );
    expect(own).toBe(root);
  });
});

describe('nestjs-ledger in an empty application', { timeout: 120_000 }, () => {
  let app: string;
  let isInstalled = false;

  beforeAll(async () => {
    app = join(folder, 'app');
    isInstalled = await installInEmptyApp(app, packed.tarball);
  }, INSTALL_LIMIT_MS);

  /** Loads a module there; its names, as Node sees them. */
  async function namesOf(specifier: string): Promise<string[]> {
    const code = `console.log(JSON.stringify(Object.keys(await import('${specifier}'))))`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], {
      cwd: app,
    });
    return JSON.parse(stdout) as string[];
  }

  it('exports what applications rely on', async ({ skip }) => {
    skip(!isInstalled, 'no npm registry, and no copies in the cache of npm');
    const errors = ERRORS.flatMap((name) => [`${name}Error`, `is${name}Error`]);
    expect(await namesOf('nestjs-ledger')).toEqual(expect.arrayContaining([...NAMES, ...errors]));
    expect(await namesOf('nestjs-ledger/testing')).toEqual(expect.arrayContaining(TESTING_NAMES));
    expect(await namesOf('nestjs-ledger/dashboard')).toContain('LedgerDashboardModule');
  });

  it('has its command where npx finds it', async ({ skip }) => {
    skip(!isInstalled, 'no npm registry, and no copies in the cache of npm');
    const { stdout } = await run(join(app, 'node_modules/.bin/nestjs-ledger'), ['--help']);
    expect(stdout).toMatch(/replay.*verify/s);
  });

  it('compiles the example of its README, records, and drains on SIGTERM', async ({ skip }) => {
    skip(!isInstalled, 'no npm registry, and no copies in the cache of npm');
    const page = await readFile(join(app, 'node_modules/nestjs-ledger/README.md'), 'utf8');
    await writeFile(join(app, 'main.ts'), exampleOf(page, 'integration'));
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(APP_TSCONFIG));
    await compileProject(app);
    const schema = `packed_${randomUUID().slice(0, 8)}`;
    const admin = new pg.Client({ connectionString: inject('databaseUrl') });
    await admin.connect();
    await admin.query(`CREATE SCHEMA ${schema}`);
    const example = await ExampleApp.start(app, 'dist/main.js', {
      LEDGER_DATABASE_URL: `${inject('databaseUrl')}?options=-csearch_path%3D${schema}`,
      // So that nothing but the drain writes.
      LEDGER_ASYNC_FLUSH_MS: '3600000',
    });
    try {
      const response = await fetch(`${example.url}/answers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user: 9007199254740991, text: 'from a tarball' }),
      });
      expect(response.status).toBe(201);
      expect(await example.terminate()).toContain('drained: 1 written, 0 duplicate');
      const { rows } = await admin.query(`SELECT * FROM ${schema}.usage_entries`);
      expect(rows).toEqual([
        expect.objectContaining({ user_id: '9007199254740991', prompt_tokens: 3 }),
      ]);
    } finally {
      await example.kill();
      await admin.query(`DROP SCHEMA ${schema} CASCADE`);
      await admin.end();
    }
  });
});
