import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { outputTo } from '../cli/fixtures/command-output.fixture.js';
import { definitionOptions } from '../cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../cli/program.js';
import { defineLedger } from '../define-ledger.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import { tableExtensions } from '../ledger.extensions.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { declaredObjects } from '../postgres/verify-stored.js';
import { prepareTable, runMigrations, verifyTable } from './fixtures/wired-migrations.fixture.js';
import { planMigrations } from './plan-migrations.js';

const url = inject('databaseUrl');
const schema = `stored "${randomUUID().slice(0, 8)}"`;
const sqlSchema = `"${schema.replaceAll('"', '""')}"`;

/** Requests all features, so that each function and trigger of the package is in its plan. */
const everything = defineLedger({
  schema,
  columns: { model: 'text' },
  rollup: { dimensions: ['model'] },
  partition: 'month',
  immutable: true,
});
const AS_OPTIONS = definitionOptions(everything);

const { functions, triggers } = declaredObjects(planMigrations(everything, tableExtensions));
const nameOf = (ending: keyof typeof NAME_ENDINGS): string =>
  everything.table + NAME_ENDINGS[ending];

let client: pg.Client;
let dataSource: DataSource;
let connections: PgConnections;

beforeAll(async () => {
  client = new pg.Client({ connectionString: url });
  await client.connect();
  dataSource = await new DataSource({ type: 'postgres', url, poolSize: 2 }).initialize();
  connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
  await migrate();
});
afterAll(async () => {
  await client.query(`DROP SCHEMA ${sqlSchema} CASCADE`);
  await client.end();
  await dataSource.destroy();
});

function migrate(): Promise<string[]> {
  return runMigrations({ type: 'postgres', url }, everything);
}

async function query(sql: string, values: unknown[] = []): Promise<any[]> {
  return (await client.query(sql, values)).rows;
}

/** Warnings of a process that only compares. */
async function warnings(): Promise<string[]> {
  const lines: string[] = [];
  const warn = (line: string): void => void lines.push(line);
  await prepareTable(connections, everything, {
    mode: 'verify',
    deadLetters: true,
    logger: { log: warn, warn },
  });
  return lines;
}

async function command(name: string): Promise<{ code: number; said: string }> {
  const lines: string[] = [];
  const output = outputTo((line) => void lines.push(line));
  const code = await runProgram([name, '--database-url', url, ...AS_OPTIONS], output);
  return { code, said: lines.join('\n') };
}

/** Each check reports the problem; the next migration corrects it. */
async function expectReportAndRepair(subject: string, problem: RegExp): Promise<void> {
  const faults = await verifyTable(query, everything);
  expect(faults).toMatchObject([
    { kind: 'warning', subject, problem: expect.stringMatching(problem) as string },
  ]);
  expect(await warnings()).toEqual([expect.stringMatching(problem)]);
  const doctor = await command('doctor');
  expect(doctor.said).toMatch(new RegExp(`^warning table: ${problem.source}`, 'm'));
  const verify = await command('verify');
  expect(verify.code).toBe(1);
  expect(verify.said).toMatch(new RegExp(`^warning: ${problem.source}`, 'm'));

  expect(await migrate()).toHaveLength(1);
  expect(await verifyTable(query, everything)).toEqual([]);
  expect((await command('verify')).code).toBe(0);
  expect(await migrate()).toEqual([]);
}

describe.each(functions.map((each) => [nameOf(each.object.ending), each] as const))(
  'the function %s',
  (name, { planned }) => {
    const { number } = planned.migration;
    const mark = `-- nestjs-ledger ${number}`;
    const problem = (text: string): RegExp => new RegExp(`function .*"${name}" ${text}: `);

    /** Replaces its body. */
    async function replaceBody(change: (body: string) => string): Promise<void> {
      const [found] = await query(
        `SELECT pg_get_functiondef(p.oid) AS definition, p.prosrc AS body FROM pg_proc p
         WHERE p.proname = $1 AND p.pronamespace = $2::regnamespace`,
        [name, sqlSchema],
      );
      const { definition, body } = found as { definition: string; body: string };
      await client.query(definition.replace(body, () => change(body)));
    }

    it('is reported and restored when its body is foreign', async () => {
      await replaceBody((body) => body.replace(mark, '-- mine'));
      await expectReportAndRepair(
        name,
        problem('has a foreign body, or one from before bodies had numbers'),
      );
    });

    it('is reported and restored when its body was changed, but not the number', async () => {
      await replaceBody((body) => body.replace('BEGIN', 'BEGIN NULL;'));
      await expectReportAndRepair(
        name,
        problem(`has another body than migration ${number} gave it`),
      );
    });

    it('is reported and restored when its body is an older one', async () => {
      await replaceBody((body) => body.replace(mark, `-- nestjs-ledger ${number - 1}`));
      await expectReportAndRepair(name, problem(`is of migration ${number - 1}, not ${number}`));
    });

    it('is reported and restored when it was dropped', async () => {
      await client.query(`DROP FUNCTION ${sqlSchema}.${name} CASCADE`);
      await expectReportAndRepair(name, problem('is missing'));
    });

    it('is not changed if a newer version of the package made it, including the trigger', async () => {
      await replaceBody((body) => body.replace(mark, `-- nestjs-ledger ${number + 1}`));
      const isTrigger = triggers.some(({ object }) => nameOf(object.ending) === name);
      const table = `${sqlSchema}.usage_entries`;
      if (isTrigger) await client.query(`DROP TRIGGER ${name} ON ${table}`);
      expect(await verifyTable(query, everything)).toEqual([]);
      expect(await migrate()).toEqual([]);
      const runner = dataSource.createQueryRunner();
      for (const Migration of everything.migrations) await new Migration().up(runner);
      await runner.release();
      const bodies = await query(
        `SELECT prosrc AS body FROM pg_proc WHERE proname = $1 AND pronamespace = $2::regnamespace`,
        [name, sqlSchema],
      );
      expect(bodies).toEqual([
        { body: expect.stringContaining(`-- nestjs-ledger ${number + 1}\n`) as string },
      ]);
      await replaceBody((body) => body.replace(`-- nestjs-ledger ${number + 1}`, mark));
      expect(await migrate()).toHaveLength(isTrigger ? 1 : 0);
      expect(await verifyTable(query, everything)).toEqual([]);
    });
  },
);

describe.each(triggers.map((each) => [nameOf(each.object.ending), each] as const))(
  'the trigger %s',
  (name, { object }) => {
    const relations = ['usage_entries', 'usage_entries_default'].map(
      (relation) => `${sqlSchema}.${relation}`,
    );
    const problem = (relation: string, text: string): RegExp =>
      new RegExp(
        `trigger ${name} on ${relation} ${text} \\(so on \\d of 2 tables and partitions\\): `,
      );
    const other = `${sqlSchema}.other`;
    const events = object.events.join(' OR ');

    it.each(relations)('is reported and restored when it is disabled on %s', async (on) => {
      await client.query(`ALTER TABLE ${on} DISABLE TRIGGER ${name}`);
      await expectReportAndRepair(name, problem(on, 'is disabled'));
    });

    it.each(relations)(
      'is reported and restored when it fires in replicas alone on %s',
      async (on) => {
        await client.query(`ALTER TABLE ${on} ENABLE REPLICA TRIGGER ${name}`);
        await expectReportAndRepair(name, problem(on, 'is disabled'));
      },
    );

    it.each(relations)('is reported and restored when it was dropped from %s', async (on) => {
      await client.query(`DROP TRIGGER ${name} ON ${on}`);
      await expectReportAndRepair(name, problem(on, 'is missing'));
    });

    it.each(relations)(
      'is reported and restored when it calls another function on %s',
      async (on) => {
        await client.query(`CREATE OR REPLACE FUNCTION ${other}() RETURNS trigger LANGUAGE plpgsql
          AS 'BEGIN RETURN NULL; END';
        DROP TRIGGER ${name} ON ${on};
        CREATE TRIGGER ${name} ${object.timing} ${events} ON ${on}
          FOR EACH STATEMENT EXECUTE FUNCTION ${other}()`);
        await expectReportAndRepair(name, problem(on, 'calls another function'));
      },
    );

    it.each(relations)(
      'is reported and restored when it fires at other times on %s',
      async (on) => {
        await client.query(`DROP TRIGGER ${name} ON ${on};
        CREATE TRIGGER ${name} ${object.timing} INSERT ON ${on}
          FOR EACH STATEMENT EXECUTE FUNCTION ${sqlSchema}.${name}()`);
        await expectReportAndRepair(name, problem(on, 'fires at other times than it should'));
      },
    );

    it('is named once when it is missing everywhere', async () => {
      for (const on of relations) await client.query(`DROP TRIGGER ${name} ON ${on}`);
      await expectReportAndRepair(
        name,
        new RegExp(`trigger ${name} on ${relations[0]!} is missing \\(so on 2 of 2 tables`),
      );
    });
  },
);

it('there are functions and triggers to test', () => {
  expect(functions.length).toBeGreaterThan(0);
  expect(triggers.length).toBeGreaterThan(0);
});
