import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, inject, it, onTestFinished } from 'vitest';
import { createRowTarget } from '../codec/row-target.js';
import { formatUuid, newRun, writeUuidV7 } from '../codec/uuid.js';
import { deadLetterLine } from '../files/set-aside-line.js';
import type { StoredMessage } from '../ports/ledger-stream.interface.js';
import { createLedgerDatabase } from '../sink/fixtures/ledger-database.fixture.js';
import { InMemoryStream } from '../testing/in-memory.stream.js';
import { CommandDatabase } from './command-database.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { verifyLedger } from './verify-ledger.js';

const GRACE_MS = 100;
const run = newRun();
const NOTHING = outputTo(() => {});

function uuidOf(sequence: number): string {
  const target = createRowTarget(16);
  writeUuidV7(target, 0, Date.now(), { run, sequence });
  return formatUuid(target.bytes, 0);
}

async function setUp() {
  const database = await createLedgerDatabase(inject('databaseUrl'));
  onTestFinished(() => database.drop());
  const { table, url } = database;
  const commands = await CommandDatabase.open(table, { databaseUrl: url });
  onTestFinished(() => commands.close());
  const write = (sequence: number): Promise<unknown> =>
    database.sql(`INSERT INTO $T
      (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at)
      VALUES ('${uuidOf(sequence)}', 1, 0, 0, 'consume', now())`);
  return { database, commands, write };
}

// An entry that was published after the look at the stream may not be in the table yet, although
// the next one has been there for longer than the grace.
it('judges no gap beside entries that were written while a long stream was read', async () => {
  const { commands, write } = await setUp();
  async function* browse(): AsyncGenerator<StoredMessage, void> {
    for (const sequence of [0, 2]) await write(sequence);
    await delay(2 * GRACE_MS);
    yield* [];
  }
  const stream = Object.assign(new InMemoryStream().connect(), { browse });
  const scope = {
    ...{ from: undefined, to: undefined, files: [], stream },
    ...{ graceMs: GRACE_MS, startedAt: Date.now() },
  };
  const { runs } = await verifyLedger(commands, scope, NOTHING);
  expect(runs).toMatchObject([{ table: 2, missing: 0, undecided: 1 }]);
});

it('judges no gap beside dead letters that are young', async () => {
  const { database, commands, write } = await setUp();
  await write(0);
  await database.sql('UPDATE $T SET written_at = written_at - make_interval(hours => 1)');
  await database.admin.query(
    `INSERT INTO ${commands.names.sqlDeadLetters}
      (id, uuid, reason, detail, attempts, queued_at, dead_lettered_at, entry)
      VALUES (gen_random_uuid(), $1, 'refused', '', 1, now(), now(), '{}')`,
    [uuidOf(2)],
  );
  const dir = await mkdtemp(join(tmpdir(), 'ledger-verify-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const letter = {
    ...{ uuid: uuidOf(4), reason: 'refused' as const, sqlState: undefined, detail: '' },
    ...{ attempts: 1, queuedAt: 0, deadLetteredAt: Date.now(), entry: {} },
  };
  const file = join(dir, 'letters.ndjson');
  await writeFile(file, `${deadLetterLine(letter)}\n`);
  const scope = { from: undefined, to: undefined, files: [file] };
  const young = { ...scope, graceMs: 60_000, startedAt: Date.now() };
  expect((await verifyLedger(commands, young, NOTHING)).runs).toMatchObject([
    { table: 1, deadLetters: 2, missing: 0, undecided: 2 },
  ]);
  const later = { ...young, startedAt: Date.now() + 3_600_000 };
  expect((await verifyLedger(commands, later, NOTHING)).runs).toMatchObject([
    { table: 1, deadLetters: 2, missing: 2, undecided: 0 },
  ]);
});
