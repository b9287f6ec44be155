import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  defaultLedger,
  defineLedger,
  getLedgerToken,
  LEDGER_PROFILES,
  LedgerModule,
  LedgerService,
  type LedgerDefinition,
  type LedgerOptions,
} from 'nestjs-ledger';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { renderSettingsTable } from '../libs/ledger/src/config/render-settings-table.js';
import { APP_TSCONFIG, buildIfStale, compileProject, ExampleApp } from './support/example-app.js';
import { codeBlocks, exampleOf, tableBetween, tableCells } from './support/markdown.js';
import { SURROUNDINGS } from './support/page-examples.js';
import { findExample, pageExamples, readPage, userPages } from './support/pages.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Inside the repository, so that packages are found; ignored by git. */
const FOLDER = join(ROOT, '.tmp', `pages-${process.pid}`);
const SCHEMA = `pages_${randomUUID().slice(0, 8)}`;
/** Run by `npm run test:matrix`: its packages are too large to install for one example. */
const IN_THE_MATRIX = new Set(['prisma']);
/** For building and compiling on a busy machine. */
const BUILD_LIMIT_MS = 180_000;
/** An address that nothing listens on. */
const NOWHERE = 'postgres://nobody@127.0.0.1:1/nowhere';

let admin: pg.Client;
let url: string;

beforeAll(async () => {
  await buildIfStale();
  await mkdir(FOLDER, { recursive: true });
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${SCHEMA}; SET search_path = ${SCHEMA}`);
  url = urlAs(new URL(inject('databaseUrl')).username);
}, BUILD_LIMIT_MS);

afterAll(async () => {
  await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
  await admin.end();
  await rm(FOLDER, { recursive: true, force: true });
});

function urlAs(role: string): string {
  const address = new URL(inject('databaseUrl'));
  address.username = role;
  address.searchParams.set('options', `-csearch_path=${SCHEMA}`);
  // A space in a URL's query may be spelled `+`, which pg takes for a plus.
  return address.href.replaceAll('+', '%20');
}

async function withLedger<T>(
  options: LedgerOptions,
  work: (ledger: LedgerService) => Promise<T>,
  definition: LedgerDefinition = defaultLedger,
): Promise<T> {
  const module = await Test.createTestingModule({
    imports: [LedgerModule.forRoot({ ledger: definition, flushMs: 5, ...options })],
  }).compile();
  // The examples also use an unreachable database; its log lines are of no interest.
  module.useLogger(false);
  await module.init();
  try {
    return await work(module.get(getLedgerToken(definition)));
  } finally {
    await module.close();
  }
}

async function rowsOf(userId: number): Promise<Record<string, unknown>[]> {
  const { rows } = await admin.query('SELECT * FROM usage_entries WHERE user_id = $1', [userId]);
  return rows as Record<string, unknown>[];
}

/** Runs the package's command as it is built. @returns what it printed @throws if it exits with 1 */
async function runCommand(args: readonly string[]): Promise<string> {
  const script = join(ROOT, 'libs/ledger/dist/esm/cli/main.js');
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...args], {
    cwd: FOLDER,
    env: { PATH: process.env['PATH'], LEDGER_DATABASE_URL: url },
  });
  return stdout;
}

/** What an example exports, loaded here, where `nestjs-ledger` is the source that tests see. */
async function load<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(join(FOLDER, 'dist', `${name}.js`)).href)) as T;
}

describe('the examples of the pages', () => {
  beforeAll(async () => {
    await writeFile(join(FOLDER, 'tsconfig.json'), JSON.stringify(APP_TSCONFIG));
    await writeFile(join(FOLDER, 'package.json'), JSON.stringify({ type: 'module' }));
    for (const { name, code, page } of await pageExamples(await userPages())) {
      if (IN_THE_MATRIX.has(name)) continue;
      const surround = SURROUNDINGS[name];
      if (!surround) throw new Error(`nothing compiles the example ${name} of ${page}`);
      await writeFile(join(FOLDER, `${name}.ts`), surround(code));
    }
    await compileProject(FOLDER);
  }, BUILD_LIMIT_MS);

  it('are all compiled', async () => {
    const names = Object.keys(SURROUNDINGS).map((name) => `${name}.js`);
    expect(await readdir(join(FOLDER, 'dist'))).toEqual(names.sort());
  });

  it('integrate in 15 lines: a request to that very text leaves its row in the table', async () => {
    const lines = (await findExample('integration')).split('\n');
    const code = lines.filter((line) => line !== '' && !line.startsWith('import '));
    expect(code.length).toBeLessThanOrEqual(15);
    const app = await ExampleApp.start(FOLDER, 'dist/integration.js', {
      LEDGER_DATABASE_URL: url,
      LEDGER_ASYNC_FLUSH_MS: '60000',
    });
    try {
      const response = await fetch(`${app.url}/answers`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ user: 71, text: 'as it stands' }),
      });
      expect(await response.json()).toEqual({
        user: 71,
        tokens: 3,
        text: 'You said: as it stands',
      });
      expect(await app.terminate()).toContain('drained: 1 written, 0 duplicate');
    } finally {
      await app.kill();
    }
    expect(await rowsOf(71)).toEqual([expect.objectContaining({ prompt_tokens: 3 })]);
  });

  it('let an application on plain pg read what the ledger wrote, in six lines', async () => {
    const lines = (await findExample('plain-pg')).split('\n');
    expect(lines.filter((line) => line !== '').length).toBeLessThanOrEqual(6);
    vi.stubEnv('DATABASE_URL', url);
    const { AppModule, pool } = await load<{ AppModule: Type; pool: pg.Pool }>('plain-pg');
    const app = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app.useLogger(false);
    try {
      await app.init();
      await app.get(LedgerService, { strict: false }).recordAndWait({ userId: 74, memo: 'pg' });
      const { rows } = await pool.query('SELECT memo FROM usage_entries WHERE user_id = 74');
      expect(rows).toEqual([{ memo: 'pg' }]);
    } finally {
      await app.close();
      await pool.end();
      vi.unstubAllEnvs();
    }
  });

  it('test what an application records', async () => {
    const { bodies } = await load<{ bodies: (() => Promise<void>)[] }>('testing');
    expect(bodies).toHaveLength(1);
    await bodies[0]?.();
  });
});

describe('the commands of docs/shutdown.md and docs/operations.md', () => {
  it('write a spill back, as often as one likes, and find nothing missing', async () => {
    const spillDir = join(FOLDER, 'ledger-spill');
    await withLedger(
      { connection: { url: NOWHERE }, spillDir, shutdownTimeoutMs: 400 },
      async (ledger) => {
        for (const memo of ['a', 'b', 'c']) ledger.record({ userId: 72, memo });
      },
    );
    await withLedger({ connection: { url } }, (ledger) => ledger.recordAndWait({ userId: 1 }));
    const said: string[] = [];
    const page = (await readPage('docs/shutdown.md')) + (await readPage('docs/operations.md'));
    const lines = codeBlocks(page).flatMap(({ language, code }) => {
      return language === 'sh' ? code.split('\n') : [];
    });
    for (const line of lines) {
      // What `tune` and `doctor` print is of the server, and tested beside them.
      const args = /^npx nestjs-ledger ((?:replay|verify)[^#]*)/.exec(line)?.[1];
      const isOfDefinition = args?.includes('-d ');
      if (args && !isOfDefinition) said.push(await runCommand(args.trim().split(' ')));
    }
    expect(said).toEqual([
      expect.stringContaining('3 would be written'),
      expect.stringContaining('3 written, 0 already there, 0 refused'),
      expect.stringContaining('0 missing'),
      expect.stringContaining('0 written'),
      expect.stringContaining('0 missing'),
    ]);
    const done = join(FOLDER, 'ledger-spill/replayed');
    expect(await runCommand(['replay', done])).toContain('0 written, 3 already there');
    expect((await rowsOf(72)).map(({ memo }) => memo).sort()).toEqual(['a', 'b', 'c']);
  });
});

describe('the SQL of docs/configure.md and docs/operations.md', () => {
  const sqlWith = async (words: string): Promise<string> => {
    const page = (await readPage('docs/configure.md')) + (await readPage('docs/operations.md'));
    const found = codeBlocks(page).find(({ code, language }) => {
      return language === 'sql' && code.includes(words);
    });
    if (!found) throw new Error(`no SQL with ${words}`);
    return found.code;
  };

  it('gives a role all rights that writing takes, and finds dead letters', async () => {
    const role = `pages_${randomUUID().slice(0, 8)}`;
    const { rows } = await admin.query<{ name: string }>('SELECT current_database() AS name');
    await withLedger({ connection: { url } }, (ledger) => ledger.recordAndWait({ userId: 73 }));
    const grants = (await sqlWith('GRANT INSERT'))
      .replaceAll('ledger_writer', role)
      .replace('DATABASE app', `DATABASE "${rows[0]?.name}"`)
      .replace('SCHEMA public', `SCHEMA ${SCHEMA}`);
    await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'; ${grants}`);
    try {
      const address = new URL(urlAs(role));
      address.password = 'secret';
      const connection = { url: address.href };
      await withLedger({ connection, migrations: 'verify' }, async (ledger) => {
        const uuid = '019b0000-0000-7000-8000-000000000001';
        const again = [
          { userId: 73, uuid, memo: 'first' },
          { userId: 73, uuid, memo: 'other' },
        ];
        for (const entry of again) await ledger.recordAndWait(entry).catch(() => undefined);
        expect(ledger.stats()).toMatchObject({ state: 'running', written: 1, conflicts: 1 });
      });
      const letters = await admin.query(await sqlWith('usage_entries_dead_letters GROUP'));
      expect(letters.rows).toEqual([expect.objectContaining({ reason: 'conflict', count: '1' })]);
    } finally {
      await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});

describe('the SQL of docs/remove.md', () => {
  it('leaves nothing of a ledger that has everything, nor a record of its migrations', async () => {
    const schema = `${SCHEMA}_removed`;
    await admin.query(`CREATE SCHEMA ${schema}; SET search_path = ${schema}`);
    const definition = { partition: 'month', rollup: true, immutable: true, schema } as const;
    const objects = async (): Promise<string[]> => {
      const { rows } = await admin.query<{ name: string }>(`
        SELECT relname AS name FROM pg_class WHERE relnamespace = '${schema}'::regnamespace
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = '${schema}'::regnamespace`);
      return rows.map(({ name }) => name);
    };
    try {
      await withLedger(
        { connection: { url } },
        (ledger) => ledger.recordAndWait({ userId: 1 }),
        defineLedger(definition),
      );
      const made = await objects();
      expect(
        made.filter((name) => name.startsWith('usage_entries_rollup_')).length,
      ).toBeGreaterThan(5);
      const page = await readPage('docs/remove.md');
      await admin.query(exampleOf(page, 'drop'));
      expect(await objects()).toEqual([]);
      await admin.query(`CREATE TABLE migrations (name text);
        INSERT INTO migrations VALUES ('usage_entries:create_entries:1767225600000'), ('UsersMade1767225600000')`);
      await admin.query(exampleOf(page, 'forget'));
      const { rows } = await admin.query('SELECT name FROM migrations');
      expect(rows).toEqual([{ name: 'UsersMade1767225600000' }]);
    } finally {
      await admin.query(`DROP SCHEMA ${schema} CASCADE; SET search_path = ${SCHEMA}`);
    }
  });
});

describe('the tables of docs/configure.md', () => {
  it('list every setting as it is', async () => {
    const page = await readPage('docs/configure.md');
    expect(tableBetween(page, 'settings')).toEqual(tableCells(renderSettingsTable()));
  });

  it('list the profiles with their figures', async () => {
    const page = await readPage('docs/configure.md');
    const figure = (value: number | undefined): string => value?.toLocaleString('en-US') ?? '';
    const expected = Object.entries(LEDGER_PROFILES).map(([name, profile]) => {
      const { batchSize, flushMs, bufferSize, numWorkers } = profile;
      return [`\`${name}\``, ...[batchSize, flushMs, bufferSize, numWorkers].map(figure)];
    });
    const rows = tableBetween(page, 'profiles').slice(1);
    expect(rows.map(([name, , ...figures]) => [name, ...figures])).toEqual(expected);
  });
});
