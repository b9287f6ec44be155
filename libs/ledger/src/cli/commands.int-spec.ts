import { appendFile, mkdtemp, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { createRowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import { FileDeadLetterStore } from '../files/file-dead-letter-store.js';
import { FileSpillStore } from '../files/file-spill-store.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { TableDeadLetterStore } from '../sink/table-dead-letter-store.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';

const COLUMNS = { model: 'text', costNanos: 'bigint', seenAt: 'timestamptz' } as const;
const AT = new Date(Date.UTC(2026, 0, 1));

let database: LedgerDatabase;
let dir: string;
let said: string[];
beforeEach(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'), { columns: COLUMNS });
  dir = await mkdtemp(join(tmpdir(), 'ledger-commands-'));
  said = [];
});
afterEach(async () => {
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

const output = outputTo((text) => void said.push(text));

function run(...args: string[]): Promise<number> {
  const { url, table } = database;
  return runProgram([...args, '--database-url', url, ...definitionOptions(table)], output);
}

/** Entries of one run as the ledger decodes them when it sets them aside. */
function entriesOf(sequences: readonly number[], more: object = {}): Record<string, unknown>[] {
  const codec = new RowCodec(database.table);
  return sequences.map((sequence) => {
    const memo = `memo ${sequence}`;
    const given = { userId: sequence + 1, memo, model: 'gpt', costNanos: 2n ** 60n, seenAt: AT };
    const fault = codec.parser.parse({ createdAt: AT, ...given, ...more }, Date.now());
    if (fault) throw new Error(fault.rule);
    const target = createRowTarget(codec.maxRowBytes);
    const end = codec.encode(target, 0, { run: 0xabcdef01, sequence });
    return codec.decode(target.bytes.subarray(0, end));
  });
}

async function spill(
  entries: readonly Record<string, unknown>[],
  ledger = 'default',
): Promise<string> {
  const { file } = await new FileSpillStore({ dir, ledger }).spill(
    entries.map((entry) => {
      const queuedAt = AT.getTime();
      return { uuid: entry['uuid'] as string, mayExist: false, attempts: 1, queuedAt, entry };
    }),
  );
  return file;
}

const letterOf = (entry: Record<string, unknown>) => ({
  uuid: entry['uuid'] as string | undefined,
  reason: 'refused' as const,
  sqlState: '23514',
  detail: 'check_violation (23514)',
  attempts: 1,
  queuedAt: AT.getTime(),
  deadLetteredAt: AT.getTime(),
  entry,
});

async function deadLetter(entries: readonly Record<string, unknown>[]): Promise<void> {
  const dataSource = database.dataSource();
  const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  const { table } = database;
  const store = new TableDeadLetterStore({ connections, table, timeoutMs: 5000 });
  await store.store(entries.map(letterOf));
  await connections.close();
}

async function stored(): Promise<Record<string, unknown>[]> {
  return database.sql(
    'SELECT user_id::int, memo, model, cost_nanos::text, seen_at, created_at FROM $T ORDER BY 1',
  );
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('replay', () => {
  it('writes spilled entries once, as they were, and moves the file aside', async () => {
    const file = await spill(entriesOf(upTo(1200)));
    expect(await run('replay', dir)).toBe(0);
    const rows = await stored();
    expect(rows).toHaveLength(1200);
    expect(rows[7]).toEqual({
      user_id: 8,
      memo: 'memo 7',
      model: 'gpt',
      cost_nanos: String(2n ** 60n),
      seen_at: AT,
      created_at: AT,
    });
    expect(said.at(-1)).toBe('replayed: 1200 written, 0 already there, 0 refused');
    expect(await readdir(dir)).toEqual(['replayed']);
    expect(await run('replay', file.replace(dir, join(dir, 'replayed')))).toBe(0);
    expect(said.at(-1)).toBe('replayed: 0 written, 1200 already there, 0 refused');
    expect(await stored()).toHaveLength(1200);
  });

  it('only looks in a dry run', async () => {
    const file = await spill(entriesOf(upTo(3)));
    expect(await run('replay', file, '--dry-run')).toBe(0);
    expect(said.at(-1)).toBe('dry run: 3 would be written, 0 already there, 0 would be refused');
    expect(await stored()).toEqual([]);
    expect(await readdir(dir)).toHaveLength(1);
  });

  it('reports a half-written last line and skips it', async () => {
    const file = await spill(entriesOf(upTo(2)));
    // That of a process that was killed: no process has such a number.
    const open = `${file.replace(`-${process.pid}-`, '-999999999-')}.open`;
    await rename(file, open);
    await appendFile(open, '{"v":1,"uuid":"0189');
    expect(await run('replay', dir)).toBe(0);
    expect(said).toContain(`${open}: line 3 is half-written, skipped`);
    expect(await stored()).toHaveLength(2);
    expect(await readdir(dir)).toEqual(['replayed']);
  });

  it('keeps a finished file that was cut off since, and says so by its exit code', async () => {
    const file = await spill(entriesOf(upTo(3)));
    await truncate(file, (await stat(file)).size - 30);
    expect(await run('replay', dir)).toBe(1);
    expect(said).toContain(`${file}: line 3 can't be read, skipped`);
    expect(said).toContain(`${file} stays: 1 of its entries are not in the table`);
    expect(await stored()).toHaveLength(2);
    expect(await readdir(dir)).toEqual([basename(file)]);
  });

  it('sets nothing aside that the table refuses: the file stays until its cause is mended', async () => {
    await spill(entriesOf(upTo(40)));
    await database.sql(`ALTER TABLE $T ADD CONSTRAINT mine CHECK (user_id NOT IN (5, 17, 40))`);
    expect(await run('replay', dir)).toBe(1);
    expect(await stored()).toHaveLength(37);
    expect(said.join('\n')).toContain('3 × the server refused a row: check_violation (23514)');
    expect(await readdir(dir)).toHaveLength(1);
    await database.sql('ALTER TABLE $T DROP CONSTRAINT mine');
    expect(await run('replay', dir)).toBe(0);
    expect(said.at(-1)).toBe('replayed: 3 written, 37 already there, 0 refused');
  });

  it('takes dead letters out of their table once they are in the other', async () => {
    await deadLetter(entriesOf(upTo(4)));
    await database.sql(`ALTER TABLE $T ADD CONSTRAINT mine CHECK (user_id <> 2)`);
    expect(await run('replay', '--from-table')).toBe(1);
    expect(await stored()).toHaveLength(3);
    const left = await database.sql(
      `SELECT entry->>'memo' AS memo FROM "${database.schema}".usage_entries_dead_letters`,
    );
    expect(left).toEqual([{ memo: 'memo 1' }]);
    await database.sql('ALTER TABLE $T DROP CONSTRAINT mine');
    expect(await run('replay', '--from-table')).toBe(0);
    expect(await stored()).toHaveLength(4);
  });

  it('writes an entry without a uuid once, however often it comes', async () => {
    const entry = { ...entriesOf([3])[0] };
    delete entry['uuid'];
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    await store.store([{ ...letterOf(entry), uuid: undefined, reason: 'invalid' }]);
    await store.close();
    expect(await run('replay', dir)).toBe(0);
    expect(await run('replay', join(dir, 'replayed'))).toBe(0);
    expect(await stored()).toHaveLength(1);
  });

  it('leaves a file alone whose writer is still at work', async () => {
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    await store.store(entriesOf([1]).map(letterOf));
    expect(await run('replay', dir)).toBe(0);
    expect((await readdir(dir))[0]).toMatch(/\.open$/);
    expect(await stored()).toHaveLength(1);
    await store.close();
  });

  it('refuses entries of another definition, whose fields would be lost', async () => {
    const columns = { costNanos: 'bigint', seenAt: 'timestamptz' } as const;
    const other = definitionOptions({ ...database.table, columns });
    await spill(entriesOf(upTo(2)));
    await spill(entriesOf([2], { model: undefined }));
    const args = ['replay', dir, '--database-url', database.url, ...other];
    expect(await runProgram(args, output)).toBe(1);
    expect(said.join('\n')).toContain(
      '2 × model is not a field of this definition: give the one of its ledger with -d <module>',
    );
    expect(await stored()).toHaveLength(1);
    expect(await run('replay', dir)).toBe(0);
    expect(await stored()).toMatchObject([{ model: 'gpt' }, { model: 'gpt' }, { model: null }]);
  });

  it.each([
    [{ ids: 'text' }, 'column user_id of .* has type bigint instead of text'],
    [{ columns: { ...COLUMNS, region: 'text' } }, 'column region of .* is missing'],
    [
      { table: 'other' },
      'there is no table .*other": run `npx nestjs-ledger migrate -d \\S+.ledger.mjs',
    ],
  ] as const)(
    'writes nothing where the table is not that of the definition: %j',
    async (is, say) => {
      const other = definitionOptions({ ...database.table, ...is });
      await spill(entriesOf([1]));
      const args = ['replay', dir, '--database-url', database.url, ...other];
      expect(await runProgram(args, output)).toBe(2);
      expect(said.join('\n')).toMatch(new RegExp(say));
      expect(said.join('\n')).toContain('give the definition of another ledger with -d <module>');
      expect(await readdir(dir)).toHaveLength(1);
    },
  );

  it('says what it needs, and never the password', async () => {
    expect(await run('replay')).toBe(2);
    expect(await runProgram(['replay', dir], output)).toBe(2);
    const away = 'postgres://me:s3cret@127.0.0.1:1/nowhere';
    expect(await runProgram(['replay', dir, '--database-url', away], output)).toBe(2);
    expect(said.join('\n')).toContain('ECONNREFUSED');
    expect(said.join('\n')).not.toContain('s3cret');
    expect(await run('replay', join(dir, 'nothing'))).toBe(2);
  });
});

describe('verify', () => {
  const verify = (...args: string[]): Promise<number> =>
    run('verify', '--grace', '0', '--files', dir, ...args);

  it('finds each entry in the table, among dead letters or spilled', async () => {
    await spill(entriesOf(upTo(20)));
    expect(await run('replay', dir)).toBe(0);
    await deadLetter(entriesOf([20, 21]));
    await spill(entriesOf([22, 23, 24]));
    expect(await verify()).toBe(0);
    expect(said.join('\n')).toContain(
      'queued 25, in the table 20, dead-lettered 2, spilled 3, missing 0',
    );
    expect(said.join('\n')).toContain('not checked: ');
  });

  it('looks for spilled entries in the folder of the settings, unless an option names one', async () => {
    await spill(entriesOf(upTo(20)));
    await run('replay', dir);
    await spill(entriesOf([20]));
    await spill(entriesOf([21]));
    await database.sql('DELETE FROM $T WHERE user_id = 20');
    vi.stubEnv('LEDGER_ASYNC_SPILL_DIR', dir);
    try {
      expect(await run('verify', '--grace', '0')).toBe(1);
      expect(said.join('\n')).toContain(
        'in the table 19, dead-lettered 0, spilled 2, missing 1: 19',
      );
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it("takes a named ledger's own address and folder from the environment", async () => {
    await spill(entriesOf(upTo(3)), 'usage');
    vi.stubEnv('LEDGER_USAGE_ASYNC_SPILL_DIR', dir);
    vi.stubEnv('LEDGER_USAGE_DATABASE_URL', database.url);
    vi.stubEnv('LEDGER_DATABASE_URL', 'postgres://127.0.0.1:1/nowhere');
    try {
      const named = definitionOptions({ ...database.table, name: 'usage' });
      expect(await runProgram(['verify', '--grace', '0', ...named], output)).toBe(0);
      expect(said.join('\n')).toContain('queued 3, in the table 0, dead-lettered 0, spilled 3');
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('ends with 1 and the sequences that are missing', async () => {
    await spill(entriesOf(upTo(20)));
    await run('replay', dir);
    await database.sql('DELETE FROM $T WHERE user_id IN (4, 8, 9)');
    expect(await verify()).toBe(1);
    expect(said.join('\n')).toContain('missing 3: 3, 7-8');
    expect(said.join('\n')).toContain('retired partitions, count as missing: --from leaves out');
    expect(await verify('--json')).toBe(1);
    expect(JSON.parse(said.at(-1)!)).toMatchObject({ runs: [{ run: 'abcdef01', missing: 3 }] });
    expect(await run('verify', '--files', dir)).toBe(0);
    expect(said.join('\n')).toContain('left out: 3 not found, younger than 60 s');
  });

  it('looks at a period, and for its holes everywhere', async () => {
    const later = new Date(AT.getTime() + 3_600_000);
    await spill([...entriesOf(upTo(10)), ...entriesOf([10, 12], { createdAt: later })]);
    await spill(entriesOf([11]));
    await run('replay', dir);
    const from = new Date(later.getTime() - 1).toISOString();
    expect(await verify('--from', from)).toBe(0);
    await database.sql('DELETE FROM $T WHERE user_id = 12');
    expect(await verify('--from', from)).toBe(1);
    expect(await verify('--to', from)).toBe(0);
  });
});
