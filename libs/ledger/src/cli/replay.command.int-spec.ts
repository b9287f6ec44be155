import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { FileDeadLetterStore } from '../files/file-dead-letter-store.js';
import { FileSpillStore } from '../files/file-spill-store.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { CommandDatabase } from './command-database.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';
import { Replayer } from './replayer.js';

const url = inject('databaseUrl');
/** More than the 10 listeners of one kind that Node takes without a warning. */
const PAGES = 13;

let database: LedgerDatabase;
let dir: string;
let said: string[];
beforeEach(async () => {
  database = await createLedgerDatabase(url, { columns: { model: 'text' } });
  dir = await mkdtemp(join(tmpdir(), 'ledger-replay-'));
  said = [];
});
afterEach(async () => {
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

const output = outputTo((text) => void said.push(text));

function replay(...args: string[]): Promise<number> {
  return replayAs(url, ...args);
}

function replayAs(databaseUrl: string, ...args: string[]): Promise<number> {
  const own = ['--database-url', databaseUrl, ...definitionOptions(database.table)];
  return runProgram(['replay', ...own, ...args], output);
}

/** Every other one fills a column more. */
function entry(number: number): Record<string, unknown> & { uuid: string } {
  const model = number % 2 === 0 ? {} : { model: 'gpt' };
  return { uuid: randomUUID(), userId: 1, createdAt: '2026-01-05T00:00:00.000Z', ...model };
}

describe('a replay of many pages', () => {
  it('warns of no listeners', async () => {
    // A file ends a page.
    for (let page = 0; page < PAGES; page++) {
      const spilled = entry(page);
      await new FileSpillStore({ dir, ledger: 'default' }).spill([
        { uuid: spilled.uuid, mayExist: false, attempts: 1, queuedAt: 0, entry: spilled },
      ]);
    }
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    try {
      expect(await replay(dir)).toBe(0);
      await turn();
    } finally {
      process.removeListener('warning', note);
    }
    expect(said.at(-1)).toBe(`replayed: ${PAGES} written, 0 already there, 0 refused`);
    expect(warnings).toEqual([]);
  });

  it.each([false, true])('adds no listener with a page, dry run: %s', async (isDryRun) => {
    const opened = await CommandDatabase.open(database.table, { databaseUrl: url });
    const dataSource = await opened.connections.ready();
    const { master: pool } = dataSource.driver as unknown as { master: pg.Pool };
    // A pool gives the client that was last given back.
    const ofClient = async (): Promise<number> => {
      const client = await pool.connect();
      try {
        return client.listenerCount('error');
      } finally {
        client.release();
      }
    };
    const ofPool = (): number => pool.listenerCount('connect') + pool.listenerCount('error');
    const replayer = new Replayer(opened, isDryRun);
    const page = async (number: number): Promise<void> => {
      const [fate] = await replayer.replay([
        { entry: entry(number), fallbackUuid: randomUUID(), queuedAt: 0 },
      ]);
      expect(fate).toEqual({ outcome: isDryRun ? 'missing' : 'written' });
    };
    try {
      await page(0);
      const [poolAfterOne, clientAfterOne] = [ofPool(), await ofClient()];
      for (let number = 1; number < PAGES; number++) await page(number);
      expect([ofPool(), await ofClient()]).toEqual([poolAfterOne, clientAfterOne]);
    } finally {
      await opened.close();
    }
  });
});

describe('a dry run', () => {
  const spill = async (...entries: ReturnType<typeof entry>[]): Promise<void> => {
    await new FileSpillStore({ dir, ledger: 'default' }).spill(
      entries.map((each) => ({
        ...{ uuid: each.uuid, mayExist: true, attempts: 1, queuedAt: 0 },
        entry: each,
      })),
    );
  };
  /** What the dry run says, and then the run; both without their first word. */
  const both = async (...args: string[]): Promise<[string[], string[], number[]]> => {
    const codes: number[] = [];
    const lines: string[][] = [];
    for (const way of [['--dry-run'], []]) {
      said = [];
      codes.push(await replay(...args, ...way));
      lines.push(
        said
          .filter((line) => /^(dry run|replayed| {2}\d)/.test(line))
          .map((line) => line.replace(/^(dry run|replayed): /, '').replaceAll('would be ', '')),
      );
    }
    return [lines[0]!, lines[1]!, codes];
  };

  it('foresees conflicts with the table, as the run meets them', async () => {
    const [other, same, fresh] = [entry(1), entry(2), entry(3)];
    await spill(other, same);
    expect(await replay(dir)).toBe(0);
    await spill({ ...other, model: 'another' }, { ...same }, fresh, { ...same, userId: 2 });
    const [dry, real, codes] = await both(dir);
    expect(dry).toEqual(real);
    expect(dry[0]).toBe('1 written, 1 already there, 2 refused');
    expect(codes).toEqual([1, 1]);
  });

  it('foresees conflicts among the entries themselves, also of different files', async () => {
    const [first, second] = [entry(1), entry(2)];
    await spill(first, { ...first }, { ...first, userId: 2 });
    await spill(second, { ...first, userId: 3 });
    const [dry, real, codes] = await both(dir);
    expect(dry).toEqual(real);
    expect(dry[0]).toBe('2 written, 1 already there, 2 refused');
    expect(codes).toEqual([1, 1]);
  });

  it('foresees what becomes of dead letters that are conflicts', async () => {
    const written = entry(1);
    await spill(written);
    await replay(dir);
    const letter = { ...written, userId: 7 };
    await database.sql(
      `INSERT INTO "${database.schema}"."usage_entries_dead_letters"
         (id, reason, detail, attempts, queued_at, dead_lettered_at, entry)
       VALUES ('${randomUUID()}', 'conflict', '', 1, now(), now(), '${JSON.stringify(letter)}')`,
    );
    const [dry, real, codes] = await both('--from-table');
    expect(dry).toEqual(real);
    expect(dry).toEqual([
      '0 written, 0 already there, 1 refused',
      '  1 × the uuid is taken by an entry with other content',
    ]);
    expect(codes).toEqual([1, 1]);
  });
});

describe('an invalid entry without createdAt, once it is mended', () => {
  const queuedAt = new Date('2026-01-05T12:34:56.789Z');
  const invalid = { reason: 'invalid', detail: 'memo …', attempts: 0 } as const;
  const memos = (): Promise<unknown[]> =>
    database.sql('SELECT memo, created_at FROM $T ORDER BY 1');
  const expected = ['with a uuid', 'without one'].map((memo) => ({ memo, created_at: queuedAt }));
  const entries = [
    { userId: 1, memo: 'without one' },
    { userId: 1, memo: 'with a uuid', uuid: randomUUID() },
  ];

  it('is skipped the second time by a role that may not delete letters', async () => {
    const role = `replay_${randomUUID().slice(0, 8)}`;
    const letters = `"${database.schema}".usage_entries_dead_letters`;
    for (const each of entries) {
      await database.admin.query(
        `INSERT INTO ${letters} (id, reason, detail, attempts, queued_at, dead_lettered_at, entry)
         VALUES (gen_random_uuid(), $1, $2, $3, $4, $4, $5)`,
        [invalid.reason, invalid.detail, invalid.attempts, queuedAt, each],
      );
    }
    await database.sql(`CREATE ROLE ${role};
      GRANT USAGE ON SCHEMA "${database.schema}" TO ${role};
      GRANT SELECT, INSERT ON $T TO ${role}; GRANT SELECT ON ${letters} TO ${role}`);
    try {
      const as = new URL(url);
      as.searchParams.set('options', `-c role=${role}`);
      expect(await replayAs(as.href, '--from-table')).toBe(0);
      expect(said).toContain(
        'this role may not delete rows: the dead letters stay, and the next replay skips them',
      );
      expect(await replayAs(as.href, '--from-table')).toBe(0);
      expect(said.at(-1)).toBe('replayed: 0 written, 2 already there, 0 refused');
      expect(await memos()).toEqual(expected);
    } finally {
      await database.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('is skipped the second time where its file was replayed before', async () => {
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    const at = queuedAt.getTime();
    await store.store(
      entries.map((each) => ({
        ...{ ...invalid, uuid: each.uuid, sqlState: undefined, queuedAt: at, deadLetteredAt: at },
        entry: each,
      })),
    );
    await store.close();
    expect(await replay(dir)).toBe(0);
    expect(await replay(join(dir, 'replayed'))).toBe(0);
    expect(said.at(-1)).toBe('replayed: 0 written, 2 already there, 0 refused');
    expect(await memos()).toEqual(expected);
  });

  it('is one entry by its idempotency key, however often it is replayed', async () => {
    const store = new FileDeadLetterStore({ dir, ledger: 'default' });
    const at = queuedAt.getTime();
    const letter = {
      ...{ ...invalid, uuid: undefined, sqlState: undefined, queuedAt: at, deadLetteredAt: at },
      entry: { userId: 1, memo: 'keyed', idempotencyKey: 'k' },
    };
    await store.store([letter, { ...letter, queuedAt: at + 60_000 }]);
    await store.close();
    expect(await replay(dir)).toBe(0);
    expect(said.at(-1)).toBe('replayed: 1 written, 1 already there, 0 refused');
    expect(await replay(join(dir, 'replayed'))).toBe(0);
    expect(said.at(-1)).toBe('replayed: 0 written, 2 already there, 0 refused');
    const [row] = await database.sql<{ memo: string; at: string }>(
      `SELECT memo, date_trunc('milliseconds', created_at) = '${queuedAt.toISOString()}' AS at FROM $T`,
    );
    expect(row).toEqual({ memo: 'keyed', at: true });
  });
});

describe('a replay whose files are not as it found them', () => {
  async function spill(number: number): Promise<string> {
    const spilled = entry(number);
    const store = new FileSpillStore({ dir, ledger: 'default' });
    const { file } = await store.spill([
      { uuid: spilled.uuid, mayExist: false, attempts: 1, queuedAt: 0, entry: spilled },
    ]);
    return file;
  }

  /** Another replay, which finishes the first file shortly before this one. */
  function replayBeside(first: string, moment: 'at' | 'end'): Promise<number> {
    const move = (): void => {
      if (!existsSync(first)) return;
      mkdirSync(join(dir, 'replayed'), { recursive: true });
      renameSync(first, join(dir, 'replayed', basename(first)));
    };
    const idle = output.progress('', 0);
    const beside = {
      ...output,
      progress: () => {
        if (moment === 'at') move();
        return moment === 'at' ? idle : { ...idle, end: move };
      },
    };
    const own = ['--database-url', url, ...definitionOptions(database.table)];
    return runProgram(['replay', dir, ...own], beside);
  }

  it.each([
    ['at', 'is gone: another process has moved it'],
    ['end', 'is done, moved by another process'],
  ] as const)(
    'goes on with the others when one is moved by another replay: %s',
    async (at, say) => {
      const [first] = [await spill(0), await spill(1)];
      expect(await replayBeside(first, at)).toBe(0);
      expect(said).toContain(`${first} ${say}`);
      expect(await readdir(dir)).toEqual(['replayed']);
      expect(await readdir(join(dir, 'replayed'))).toHaveLength(2);
    },
  );

  it('continues with the others when one can’t be read, and names it', async () => {
    const loop = join(dir, 'a.ndjson');
    await symlink(loop, loop);
    await mkdir(join(dir, 'b.ndjson'));
    const file = await spill(0);
    expect(await replay(dir)).toBe(1);
    expect(said).toContain(`${loop} can't be read: ELOOP`);
    expect(said).toContain("1 file(s) can't be read or moved");
    expect(await readdir(join(dir, 'replayed'))).toEqual([basename(file)]);
    const own = ['--database-url', url, ...definitionOptions(database.table)];
    const args = ['verify', ...own, '--files', dir];
    expect(await runProgram(args, output)).toBe(2);
    expect(said.at(-1)).toBe(`error: ${loop} can't be read: ELOOP`);
  });

  it('writes all of them where none can be moved', async () => {
    await writeFile(join(dir, 'replayed'), '');
    const files = [await spill(0), await spill(1)];
    expect(await replay(dir)).toBe(1);
    for (const file of files) {
      expect(said).toContain(`${file} is done, but stays: it can't be moved (EEXIST)`);
    }
    expect(await database.sql('SELECT count(*)::int AS n FROM $T')).toEqual([{ n: 2 }]);
  });
});
