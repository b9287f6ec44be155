import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { startTcpProxy } from '../../../../test/support/tcp-proxy.js';
import { outputTo } from './fixtures/command-output.fixture.js';
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

const COLUMNS = ['--ids', 'text', '--column', 'tenantId:uuid', '--column', 'costNanos:bigint'];

function run(...args: string[]): Promise<number> {
  return runProgram(['migrate', '--schema', schema, ...args], output);
}

const ALL_OPTIONS = {
  partition: 'month',
  immutable: true,
  rollup: { dimensions: ['tenantId'] },
} as const;

async function faults(more: Partial<typeof ALL_OPTIONS> = {}): Promise<unknown[]> {
  const columns = { tenantId: 'uuid', costNanos: 'bigint' } as const;
  const definition = defineLedger({ schema, ids: 'text', columns, ...more });
  return verifyTable((sql, values) => admin.query(sql, values), definition);
}

describe('nestjs-ledger migrate', () => {
  it('makes the tables, and finds nothing to do the second time', async () => {
    expect(await run('--database-url', url, ...COLUMNS)).toBe(0);
    expect(said).toHaveLength(5);
    expect(said[0]).toMatch(/^migrated .*:create_entries:\d{13}$/);
    expect(await faults()).toEqual([]);
    said = [];
    expect(await run('--database-url', url, ...COLUMNS)).toBe(0);
    expect(said).toEqual(['nothing to migrate']);
  });

  it('fails where tables are otherwise than asked for, and says what mends them', async () => {
    expect(await run('--database-url', url)).toBe(0);
    said = [];
    expect(await run('--database-url', url, '--ids', 'uuid', '--json')).toBe(2);
    const { differences } = JSON.parse(said[0]!) as { differences: string[] };
    expect(differences).toContainEqual(
      expect.stringMatching(/^column user_id of .* has type bigint instead of uuid \(ALTER TABLE/),
    );
    expect(said[1]).toMatch(/^error: the tables are not as asked for, and a ledger would halt: /);
    // A column more is what migrations make.
    said = [];
    expect(await run('--database-url', url, '--column', 'model:text')).toBe(0);
    expect(await run('--database-url', url, '--column', 'model:bigint')).toBe(2);
    expect(said.at(-1)).toContain('column model of');
  });

  it('goes by the ids that the table has, unless it is told otherwise', async () => {
    expect(await run('--database-url', url, '--ids', 'text')).toBe(0);
    said = [];
    expect(await run('--database-url', url, '--column', 'model:text')).toBe(0);
    expect(said).toEqual([expect.stringMatching(/^migrated .*:add_model:\d{13}$/)]);
  });

  it('says what helps where the role may not', async () => {
    const role = `migrate_${randomUUID().slice(0, 8)}`;
    await admin.query(`CREATE ROLE ${role}; CREATE SCHEMA "${schema}"`);
    try {
      const as = new URL(url);
      as.searchParams.set('options', `-c role=${role}`);
      expect(await run('--database-url', as.href)).toBe(2);
      expect(said.at(-1)).toMatch(/^error: can't migrate: the role may not run .* let the owner/);
    } finally {
      await admin.query(`DROP ROLE ${role}`);
    }
  });

  const ALL = [...COLUMNS, '--partition', 'month', '--immutable', '--rollup', 'tenantId'];

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
    expect(await run('--sql', ...ALL)).toBe(0);
    await admin.query(said.join('\n'));
    expect(await faults(ALL_OPTIONS)).toEqual([]);
    const printed = await inventory();
    said = [];
    expect(await run('--database-url', url, ...ALL)).toBe(0);
    expect(said).toHaveLength(7);
    expect(await inventory()).toEqual(printed);
    await admin.query(`DROP SCHEMA "${schema}" CASCADE`);
    expect(await run('--database-url', url, ...ALL)).toBe(0);
    expect(await inventory()).toEqual(printed);
  });

  it('prints exactly what it sends', async () => {
    expect(await run('--sql', '--json', ...ALL)).toBe(0);
    const { statements } = JSON.parse(said.join('')) as { statements: string[] };
    expect(statements).toHaveLength(8);
    const proxy = await startTcpProxy(url);
    try {
      expect(await run('--database-url', proxy.url, ...ALL)).toBe(0);
      // A query ends with a zero byte, and begins behind its length.
      const sent = proxy.sent();
      for (const statement of statements) expect(sent).toContain(`${statement}\0`);
    } finally {
      await proxy.close();
    }
  });

  it.each([
    [['--column', 'costNanos'], /must be field:type/],
    [
      ['--column', 'cost nanos:bigint', '--column', 'x:float'],
      /cost nanos.*columns."x" must have one of the types/,
    ],
    [['--ids', 'serial'], /Allowed choices are bigint, uuid, text/],
    [['--database-url', 'postgres://user:secret@127.0.0.1:1/app'], /can't migrate: /],
  ])('refuses %j with a reason, and says no secret', async (args, reason) => {
    expect(await run(...args)).toBe(2);
    expect(said.join('\n')).toMatch(reason);
    expect(said.join('\n')).not.toContain('secret');
  });
});
