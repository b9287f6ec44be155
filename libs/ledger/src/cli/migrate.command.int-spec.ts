import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { defineLedger, type DefinitionOptions } from '../define-ledger.js';
import { startTcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';
import { verifyTable } from '../migrations/fixtures/wired-migrations.fixture.js';

const url = inject('databaseUrl');

let admin: DataSource;
let schema: string;
let said: string[];

beforeAll(async () => {
  admin = await new DataSource({ type: 'postgres', url }).initialize();
});
beforeEach(() => {
  schema = `migrate ${randomUUID().slice(0, 8)}`;
  said = [];
});
afterEach(() => admin.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`));
afterAll(() => admin.destroy());

const output = outputTo((text) => void said.push(text));

/** Of a definition in the test's schema. */
function run(definition: DefinitionOptions, ...args: string[]): Promise<number> {
  const own = definitionOptions(defineLedger({ schema, ...definition }));
  return runProgram(['migrate', ...own, ...args], output);
}

const usage = { ids: 'text', columns: { tenantId: 'uuid', costNanos: 'bigint' } } as const;
const all = {
  ...usage,
  partition: 'month',
  immutable: true,
  rollup: { dimensions: ['tenantId'] },
} as const;

async function faults(options: DefinitionOptions = usage): Promise<unknown[]> {
  const definition = defineLedger({ schema, ...options });
  return verifyTable((sql, values) => admin.query(sql, values), definition);
}

const migrationsOf = (options: DefinitionOptions): number =>
  defineLedger({ schema, ...options }).migrations.length;

describe('nestjs-ledger migrate', () => {
  it('makes the tables, and finds nothing to do the second time', async () => {
    expect(await run(usage, '--database-url', url)).toBe(0);
    expect(said).toHaveLength(migrationsOf(usage));
    expect(said[0]).toMatch(/^migrated .*:create_entries:\d{13}$/);
    expect(await faults()).toEqual([]);
    said = [];
    expect(await run(usage, '--database-url', url)).toBe(0);
    expect(said).toEqual(['nothing to migrate']);
  });

  it('fails if tables do not match the definition, and names the remedy', async () => {
    expect(await run({}, '--database-url', url)).toBe(0);
    said = [];
    expect(await run({ ids: 'uuid' }, '--database-url', url, '--json')).toBe(2);
    const { differences } = JSON.parse(said[0]!) as { differences: string[] };
    expect(differences).toContainEqual(
      expect.stringMatching(/^column user_id of .* has type bigint instead of uuid \(ALTER TABLE/),
    );
    expect(said[1]).toMatch(
      /^error: the tables do not match the definition, and a ledger would halt: /,
    );
    // A column more is what migrations make.
    said = [];
    expect(await run({ columns: { model: 'text' } }, '--database-url', url)).toBe(0);
    expect(await run({ columns: { model: 'bigint' } }, '--database-url', url)).toBe(2);
    expect(said.at(-1)).toContain('column model of');
  });

  it("puts a definition without a schema into the connection's, as the application does", async () => {
    await admin.query(`CREATE SCHEMA "${schema}"`);
    const place = ['--connection-schema', schema];
    const own = definitionOptions(defineLedger(usage));
    expect(await runProgram(['migrate', '--database-url', url, ...own, ...place], output)).toBe(0);
    expect(await faults()).toEqual([]);
    // Recorded by the name that a process with this connection looks for.
    expect(said[0]).toMatch(/^migrated usage_entries:create_entries:\d{13}$/);
    said = [];
    const printed = ['migrate', '--sql', ...own, ...place];
    expect(await runProgram(printed, output)).toBe(0);
    await admin.query(said.join('\n'));
    // The default ledger needs no definition.
    expect(await runProgram(['verify', '--database-url', url, ...place], output)).toBe(0);
  });

  it('says what helps where the role may not', async () => {
    const role = `migrate_${randomUUID().slice(0, 8)}`;
    await admin.query(`CREATE ROLE ${role}; CREATE SCHEMA "${schema}"`);
    try {
      const as = new URL(url);
      as.searchParams.set('options', `-c role=${role}`);
      expect(await run({}, '--database-url', as.href)).toBe(2);
      expect(said.at(-1)).toMatch(/^error: can't migrate: the role may not run .* let the owner/);
    } finally {
      await admin.query(`DROP ROLE ${role}`);
    }
  });

  /** All that the ledger's schema holds, by what the server says of it. */
  async function inventory(): Promise<unknown> {
    const [{ found }] = await admin.query(
      `SELECT json_build_array(
        (SELECT json_agg(c.relname || ' ' || c.relkind::text ORDER BY c.relname) FROM pg_class c
         WHERE c.relnamespace = n.oid AND c.relname NOT LIKE '%\\_migrations%'),
        (SELECT json_agg(pg_get_functiondef(p.oid) ORDER BY p.proname) FROM pg_proc p
         WHERE p.pronamespace = n.oid),
        (SELECT json_agg(pg_get_triggerdef(t.oid) || t.tgenabled::text ORDER BY c.relname, t.tgname)
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = n.oid),
        (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conrelid::regclass::text, k.conname)
         FROM pg_constraint k WHERE k.connamespace = n.oid
           AND k.conrelid::regclass::text NOT LIKE '%\\_migrations')) AS found
       FROM pg_namespace n WHERE n.nspname = $1`,
      [schema],
    );
    return found;
  }

  it('prints what gives the same database, as one simple query, and leaves nothing to change', async () => {
    expect(await run(all, '--sql')).toBe(0);
    await admin.query(said.join('\n'));
    expect(await faults(all)).toEqual([]);
    const printed = await inventory();
    said = [];
    expect(await run(all, '--database-url', url)).toBe(0);
    expect(said.filter((line) => line.startsWith('migrated '))).toHaveLength(migrationsOf(all));
    expect(said.at(-1)).toMatch(/^next: `npx nestjs-ledger partitions create -d \S+\.ledger\.mjs`/);
    expect(await inventory()).toEqual(printed);
    await admin.query(`DROP SCHEMA "${schema}" CASCADE`);
    expect(await run(all, '--database-url', url)).toBe(0);
    expect(await inventory()).toEqual(printed);
  });

  it('prints exactly what it sends', async () => {
    expect(await run(all, '--sql', '--json')).toBe(0);
    const { statements } = JSON.parse(said.join('')) as { statements: string[] };
    // The schema comes first.
    expect(statements).toHaveLength(1 + migrationsOf(all));
    const proxy = await startTcpProxy(url);
    try {
      expect(await run(all, '--database-url', proxy.url)).toBe(0);
      // A query ends with a zero byte, and begins after its length.
      const sent = proxy.sent();
      for (const statement of statements) expect(sent).toContain(`${statement}\0`);
    } finally {
      await proxy.close();
    }
  });

  it('says what is wrong with an address, and no secret', async () => {
    expect(await run({}, '--database-url', 'postgres://user:secret@127.0.0.1:1/app')).toBe(2);
    expect(said.join('\n')).toContain("can't migrate: ");
    expect(said.join('\n')).not.toContain('secret');
  });
});
