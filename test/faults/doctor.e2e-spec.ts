import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../support/example-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { LedgerCommand } from './support/ledger-command.js';
import { PG_BOUNCER, PgBouncer } from './support/pg-bouncer.js';

const SERVER_CONNECTIONS = 4;
const BUILD_LIMIT_MS = 240_000;

let database: FaultDatabase;
let folder: string;
let doctor: LedgerCommand;

beforeAll(async () => {
  await buildIfStale();
  // Like a server with default durability.
  database = await FaultDatabase.start({ fsync: 'on', full_page_writes: 'on' });
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-doctor-'));
  doctor = new LedgerCommand(folder, database.url);
  expect(await doctor.run('migrate')).toMatchObject({ code: 0 });
}, BUILD_LIMIT_MS);
afterAll(async () => {
  await database?.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** The lines of a check, with its remedy. */
function linesOf(check: string, text: string): string[] {
  const lines = text.replaceAll(/\n +-> /g, ' -> ').split('\n');
  return lines.filter((line) => new RegExp(`^(ok|warning|FAULT) +${check}:`).test(line));
}

describe('npx nestjs-ledger doctor', () => {
  it('says that all is well where it is, and leaves no file and no folder', async () => {
    const { code, text } = await doctor.run('doctor', '--spill-dir', 'deep/down/spill');
    expect(code).toBe(0);
    expect(text).not.toMatch(/^(warning|FAULT)/m);
    expect(linesOf('durability', text)).toEqual([
      expect.stringMatching(
        /^ok +durability: fsync on, full_page_writes on, synchronous_commit on/,
      ),
    ]);
    expect(linesOf('pooler', text)).toEqual(['ok      pooler: none: straight to the server']);
    expect(linesOf('spill directory', text)).toEqual([
      expect.stringMatching(/^ok +spill directory: deep\/down\/spill takes and syncs files/),
    ]);
    expect(await readdir(folder)).toEqual([]);
  });

  it('warns of synchronous_commit off, which loses no awaited entry', async () => {
    await database.sql('ALTER ROLE postgres SET synchronous_commit = off');
    try {
      const { code, text } = await doctor.run('doctor');
      expect(linesOf('durability', text)).toEqual([
        'warning durability: synchronous_commit is off: a crash loses the last commits, except ' +
          "those of awaited entries -> ALTER ROLE … SET synchronous_commit = 'on'",
      ]);
      expect(code).toBe(0);
    } finally {
      await database.sql('ALTER ROLE postgres RESET synchronous_commit');
    }
  });

  it('calls fsync and full_page_writes off a fault each', async () => {
    const careless = await FaultDatabase.start({ fsync: 'off', full_page_writes: 'off' });
    try {
      const { code, text } = await new LedgerCommand(folder, careless.url).run('doctor');
      expect(linesOf('durability', text)).toEqual([
        expect.stringMatching(/^FAULT +durability: fsync is off: .* -> ALTER SYSTEM SET fsync/),
        expect.stringMatching(/^FAULT +durability: full_page_writes is off: .* -> ALTER SYSTEM/),
      ]);
      expect(code).toBe(1);
    } finally {
      await careless.dispose();
    }
  });

  it.skipIf(PG_BOUNCER === undefined).each([
    ['transaction', /^ok +pooler: transaction mode: fine/, 0],
    ['session', /^ok +pooler: something that keeps sessions: a pooler in session mode/, 0],
    ['statement', /^FAULT +pooler: statement mode: .* -> pool_mode = transaction$/, 1],
  ] as const)('finds PgBouncer in %s mode', async (mode, line, exit) => {
    const bouncer = await PgBouncer.start(database.url, SERVER_CONNECTIONS, undefined, mode);
    try {
      const { code, text } = await new LedgerCommand(folder, bouncer.url).run('doctor');
      expect(linesOf('pooler', text)).toEqual([expect.stringMatching(line)]);
      expect(code).toBe(exit);
      // It works behind a pooler: every other line is present, without a fault.
      const checks = ['reachable', 'table', 'permissions', 'indexes', 'connections', 'clock'];
      for (const check of checks) {
        expect(linesOf(check, text)).toEqual([expect.stringMatching(/^ok/)]);
      }
    } finally {
      await bouncer.dispose();
    }
  });
});
