import { systemClock } from '../clock/clock.js';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import { FallbackDeadLetterStore } from '../files/fallback-dead-letter-store.js';
import { FileDeadLetterStore } from '../files/file-dead-letter-store.js';
import { createLedgerDatabase, type LedgerDatabase } from './fixtures/ledger-database.fixture.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { TableDeadLetterStore } from './table-dead-letter-store.js';

let database: LedgerDatabase;
let connections: PgConnections;
let store: TableDeadLetterStore;

beforeEach(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'));
  const dataSource = database.dataSource();
  connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
  store = new TableDeadLetterStore({ connections, table: database.table, timeoutMs: 2000 });
});
afterEach(async () => {
  await connections.close();
  await database.drop();
});

const LETTER: DeadLetter = {
  uuid: '01890000-0000-7000-8000-000000000001',
  reason: 'refused',
  sqlState: '23514',
  detail: 'constraint positive',
  attempts: 3,
  queuedAt: Date.UTC(2026, 0, 1, 0, 0, 0, 123),
  deadLetteredAt: Date.UTC(2026, 0, 1, 0, 0, 1),
  entry: { userId: '5', memo: 'a "memo" \\ 😀' },
};

const stored = () =>
  database.sql(`SELECT * FROM "${database.schema}".usage_entries_dead_letters ORDER BY uuid`);

describe('TableDeadLetterStore', () => {
  it('keeps a letter with all its fields', async () => {
    await store.store([LETTER]);
    expect(await stored()).toEqual([
      expect.objectContaining({
        uuid: LETTER.uuid,
        reason: 'refused',
        sql_state: '23514',
        detail: 'constraint positive',
        attempts: 3,
        queued_at: new Date(LETTER.queuedAt),
        dead_lettered_at: new Date(LETTER.deadLetteredAt),
        entry: LETTER.entry,
      }),
    ]);
  });

  it('keeps the same letter once, for any number of calls', async () => {
    const invalid: DeadLetter = { ...LETTER, uuid: undefined, reason: 'invalid' };
    await store.store([LETTER, invalid]);
    await store.store([{ ...LETTER, deadLetteredAt: LETTER.deadLetteredAt + 5 }, invalid]);
    expect(await stored()).toHaveLength(2);
  });

  it('keeps similar letters separately', async () => {
    const invalid = (): DeadLetter => ({ ...LETTER, uuid: undefined, reason: 'invalid' });
    await store.store([LETTER, { ...LETTER, entry: { userId: '6' } }, invalid(), invalid()]);
    expect(await stored()).toHaveLength(4);
  });

  it('keeps entries that jsonb would refuse', async () => {
    const entry = {
      nul: 'a\0b',
      half: 'x\ud800y',
      'key\0': '\udc00',
      whole: '😀',
      spelled: '\\u0000 \\ud800',
    };
    await store.store([{ ...LETTER, entry }]);
    const [letter] = (await stored()) as { entry: unknown }[];
    expect(letter!.entry).toEqual({
      nul: 'a\ufffdb',
      half: 'x\ufffdy',
      'key\ufffd': '\ufffd',
      whole: '😀',
      spelled: '\\u0000 \\ud800',
    });
  });

  it('reveals nothing of the entry when it fails', async () => {
    const letter = { ...LETTER, attempts: 3_000_000_000, entry: { memo: 'secret' } };
    const error: unknown = await store.store([letter]).catch((e: unknown) => e);
    expect(error).toHaveProperty('sqlState', '22003');
    expect(String(error) + String((error as Error).cause)).not.toContain('secret');
  });
});

describe('FallbackDeadLetterStore', () => {
  const fallbackOf = (
    first: LedgerDeadLetterStore,
    second: LedgerDeadLetterStore,
    notices: string[],
    timeoutMs = 5000,
  ): FallbackDeadLetterStore =>
    new FallbackDeadLetterStore({
      first,
      second,
      firstName: "the application's store",
      timeoutMs,
      clock: systemClock,
      onNotice: (text) => void notices.push(text),
    });

  it.each([
    ['never answers', () => new Promise<never>(() => {}), 'no answer within 20 ms'],
    ['rejects', () => Promise.reject(new Error(`not ${JSON.stringify(LETTER.entry)}`)), 'Error'],
    ['is no promise', () => JSON.parse('{') as never, 'SyntaxError'],
  ])('keeps what the application’s store %s, and no value in the log', async (_, keep, why) => {
    const kept: DeadLetter[] = [];
    const second = { store: async (letters: readonly DeadLetter[]) => void kept.push(...letters) };
    const notices: string[] = [];
    const fallback = fallbackOf({ store: keep }, second, notices, 20);
    await fallback.store([LETTER]);
    await fallback.store([LETTER]);
    expect(kept).toEqual([LETTER, LETTER]);
    expect(notices).toEqual([
      `dead letters go to a file, since the application's store does not accept them: ${why}`,
    ]);
  });

  it('switches to the file and back, reports each once, and loses no letter', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'ledger-letters-'));
    const files = new FileDeadLetterStore({ dir, ledger: 'default' });
    const notices: string[] = [];
    const fallback = fallbackOf(store, files, notices);
    const schema = `"${database.schema}"`;
    try {
      await fallback.store([LETTER]);
      await database.sql(`ALTER TABLE ${schema}.usage_entries_dead_letters RENAME TO away`);
      await fallback.store([{ ...LETTER, uuid: '01890000-0000-7000-8000-000000000002' }]);
      await fallback.store([{ ...LETTER, uuid: '01890000-0000-7000-8000-000000000003' }]);
      await database.sql(`ALTER TABLE ${schema}.away RENAME TO usage_entries_dead_letters`);
      await fallback.store([{ ...LETTER, uuid: '01890000-0000-7000-8000-000000000004' }]);
      await files.close();
      expect(await stored()).toHaveLength(2);
      const [name] = await readdir(dir);
      const text = await readFile(join(dir, name!), 'utf8');
      expect(text.trimEnd().split('\n')).toHaveLength(2);
      expect(notices).toEqual([
        expect.stringMatching(/go to a file.*42P01/),
        "dead letters go to the application's store again",
      ]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
