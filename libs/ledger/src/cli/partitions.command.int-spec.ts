import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { createRowTarget } from '../codec/row-target.js';
import { formatUuid, writeUuidV7 } from '../codec/uuid.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';

const url = inject('databaseUrl');

let database: LedgerDatabase;
let said: string[];
beforeEach(async () => {
  database = await createLedgerDatabase(url, { partition: 'month' });
  said = [];
  // `verify` counts what other tests spilled to the default folder as well.
  vi.stubEnv('LEDGER_ASYNC_SPILL_DIR', `no-spill-${database.schema}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await database.drop();
});

const output = outputTo((text) => void said.push(text));

function partitions(...args: string[]): Promise<number> {
  const own = ['--database-url', url, ...definitionOptions(database.table)];
  return runProgram(['partitions', ...args, ...own], output);
}

/** Of one run. */
function uuidOf(createdAt: Date, sequence: number): string {
  const target = createRowTarget(16);
  writeUuidV7(target, 0, createdAt.getTime(), { run: 7, sequence });
  return formatUuid(target.bytes, 0);
}

describe('nestjs-ledger partitions create', () => {
  it.each([
    [
      ['--from', '2099-02', '--to', '2099-01'],
      /--from \(2099-02.*\) must be before --to \(2099-01/,
    ],
    [['--from', '2099-01'], /--from \(2099-01.*\) must be before --to/],
    [['--to', '2099-01'], /--to needs --from/],
    [['--from', '2026-01', '--ahead', '3'], /'--from <time>' cannot be used with .*'--ahead <n>'/],
  ])('refuses what can’t be meant: %j', async (args, reason) => {
    expect(await partitions('create', ...args)).toBe(2);
    expect(said.join('\n')).toMatch(reason);
    expect(await partitions('list', '--json')).toBe(0);
    const { partitions: found } = JSON.parse(said.at(-1)!) as { partitions: unknown[] };
    expect(found).toHaveLength(1);
  });
});

describe('the period of a partition', () => {
  it('is that of the definition, which --by may not contradict', async () => {
    for (const by of [[], ['--by', 'month']]) {
      expect(await partitions('create', '--from', '2099-01', '--to', '2099-02', ...by)).toBe(0);
    }
    expect(said).toEqual(['made usage_entries_p209901', 'nothing to do']);
    expect(await partitions('create', '--by', 'day')).toBe(2);
    expect(said.at(-1)).toBe("error: --by day contradicts the definition, which says 'month'");
  });

  it('is what --by says where the definition says nothing', async () => {
    const plain = { ...database.table, partition: undefined };
    const own = ['--database-url', url, ...definitionOptions(plain)];
    const args = [
      'partitions',
      'create',
      '--by',
      'day',
      '--from',
      '2099-01-01',
      '--to',
      '2099-01-02',
    ];
    expect(await runProgram([...args, ...own], output)).toBe(0);
    expect(said).toEqual(['made usage_entries_p20990101']);
  });
});

describe('nestjs-ledger partitions retire', () => {
  it('continues with the others when one can’t be dropped, and reports all at the end', async () => {
    const { schema } = database;
    const named = (month: number): string => `"${schema}".usage_entries_p20250${month}`;
    expect(await partitions('create', '--from', '2025-01', '--to', '2025-04')).toBe(0);
    await database.sql(`CREATE VIEW "${schema}".first AS SELECT * FROM ${named(1)};
      CREATE VIEW "${schema}".second AS SELECT * FROM ${named(2)}`);
    said = [];
    expect(await partitions('retire', '--keep', '1')).toBe(2);
    const reason = "it can't be dropped: views or foreign keys use it (2BP01)";
    expect(said).toEqual([
      'dropped usage_entries_p202503',
      `left usage_entries_p202501: ${reason}`,
      `left usage_entries_p202502: ${reason}`,
      "error: 2 of the tables can't be dropped: fix the cause, and run the command again",
    ]);
    await database.sql(`DROP VIEW "${schema}".first`);
    said = [];
    expect(await partitions('retire', '--keep', '1', '--json')).toBe(2);
    expect(JSON.parse(said[0]!)).toMatchObject({
      retired: [{ table: 'usage_entries_p202501' }],
      left: [{ table: 'usage_entries_p202502', reason }],
    });
    await database.sql(`DROP VIEW "${schema}".second`);
    expect(await partitions('retire', '--keep', '1')).toBe(0);
    expect(said.at(-1)).toBe('dropped usage_entries_p202502');
  });

  it('leaves what verify finds missing, unless verify knows what is kept', async () => {
    expect(await partitions('create', '--from', '2026-01', '--to', '2026-03')).toBe(0);
    const days = [1, 15, 40].map((day) => new Date(Date.UTC(2026, 0, day)));
    const rows = days.map(
      (day, at) => `('${uuidOf(day, at)}', '${day.toISOString()}', 1, 1, 1, 'consume')`,
    );
    await database.sql(
      `INSERT INTO $T (uuid, created_at, user_id, prompt_tokens, completion_tokens, direction)
       VALUES ${rows.join()}`,
    );
    await database.sql(
      `ALTER TABLE $T DETACH PARTITION "${database.schema}".usage_entries_p202601`,
    );
    const own = ['--database-url', url, '--grace', '0', ...definitionOptions(database.table)];
    expect(await runProgram(['verify', ...own], output)).toBe(1);
    expect(said.join('\n')).toContain('missing 2: 0-1');
    expect(await runProgram(['verify', ...own, '--from', '2026-02'], output)).toBe(0);
  });
});
