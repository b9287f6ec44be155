import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { Deadline } from '../clock/deadline.js';
import { open } from '../postgres/open.js';
import { PgConnections } from '../postgres/pg-connections.js';
import type { PgSession } from '../postgres/pg-session.js';
import type { ServerHistory } from '../segments/settled-frame.js';
import { ManualClock } from '../testing/manual-clock.js';
import { ServerQuestion } from './server-question.js';

const NAME = `question_${randomUUID().slice(0, 8)}`;
/** Milliseconds after which the server ends an idle session, and for which the process is held. */
const IDLE_MS = 100;
const HELD_MS = 300;
let admin: pg.Client;
/** Connections of a role whose only right is to log in. */
let connections: PgConnections;
let clock: ManualClock;
let answers: ServerHistory[];
let notices: string[];
let question: ServerQuestion;

beforeAll(async () => {
  admin = new pg.Client(inject('databaseUrl'));
  await admin.connect();
  // Rights on functions belong to a database.
  await admin.query(`CREATE DATABASE ${NAME}`);
  await admin.query(`CREATE ROLE ${NAME} LOGIN PASSWORD 'known'`);
  const url = Object.assign(new URL(inject('databaseUrl')), { username: NAME, password: 'known' });
  url.pathname = `/${NAME}`;
  const dataSource = open({ url: url.href }, { applicationName: 'question', poolSize: 2 });
  connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
});
afterAll(async () => {
  await connections.close();
  await admin.query(`DROP DATABASE ${NAME} WITH (FORCE)`);
  await admin.query(`DROP ROLE ${NAME}`);
  await admin.end();
});
beforeEach(() => {
  [clock, answers, notices] = [new ManualClock(), [], []];
  question = new ServerQuestion({ clock, connections, onNotice: (text) => notices.push(text) });
  question.listen((history) => answers.push(history));
});

/** Asks, and shows that the session can write a batch afterwards. */
async function ask(): Promise<void> {
  await connections.use(new Deadline(5_000), async (session) => {
    await question.ask(session);
    expect(await session.rows('SELECT 1 AS one')).toEqual([{ one: '1' }]);
  });
}

describe('ServerQuestion', () => {
  it('gets system identifier and timeline as a role without rights', async () => {
    await ask();
    const { rows } = await admin.query<{ system: string; timeline: number }>(
      `SELECT system_identifier::text AS system, timeline_id AS timeline
         FROM pg_control_system(), pg_control_checkpoint()`,
    );
    const [{ system, timeline }] = rows as [{ system: string; timeline: number }];
    expect(answers).toEqual([{ systemIdentifier: BigInt(system), timeline }]);
    expect(notices).toEqual([]);
  });

  it('asks once a second, for any number of batches', async () => {
    for (let i = 0; i < 3; i++) await ask();
    expect(answers).toHaveLength(1);
    await clock.advance(999);
    await ask();
    expect(answers).toHaveLength(1);
    await clock.advance(1);
    await Promise.all([ask(), ask()]);
    expect(answers).toHaveLength(2);
  });

  it('asks once more after the last batch, and then stops', async () => {
    await ask();
    await ask();
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(1500);
    await vi.waitFor(() => expect(answers).toHaveLength(2), { timeout: 25_000 });
    expect(clock.pendingTimers).toBe(0);
    await ask();
    question.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('reports a refusing server once, asks again a minute later, and fails no batch', async () => {
    const inDatabase = new pg.Client({ ...connectionOf(), database: NAME });
    await inDatabase.connect();
    try {
      await inDatabase.query('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
      for (const ms of [0, 59_999, 1]) {
        await clock.advance(ms);
        await ask();
      }
      expect(notices).toHaveLength(1);
      expect(notices[0]).toContain('journalKeepMs has no effect');
      expect(notices[0]).toContain('insufficient_privilege (42501)');
      await inDatabase.query('GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC');
      await clock.advance(60_000);
      await ask();
      expect(answers).toHaveLength(1);
    } finally {
      await inDatabase.end();
    }
  });

  it('asks the next session at once, if this one ended before the question', async () => {
    await connections.use(new Deadline(5_000), async (session) => {
      await session.rows(`SET idle_session_timeout = '${IDLE_MS}ms'`);
      hold();
      await expect(question.ask(session)).rejects.toMatchObject({ code: '57P05' });
      expect(session.isHeld).toBe(false);
    });
    expect(notices).toEqual([]);
    await ask();
    expect(answers).toHaveLength(1);
  });

  it.each(['55000', '53200', '57014', '58030'])('takes %s for no refusal', async (code) => {
    const answer = Object.assign(new Error('passing'), { code, severity: 'ERROR' });
    const passing = { isHeld: true, texts: () => Promise.reject(answer) };
    await question.ask(passing as unknown as PgSession);
    expect(notices).toEqual([]);
    await ask();
    expect(answers).toHaveLength(1);
  });
});

/** Nothing of the process runs meanwhile, so that it does not know that the session ended. */
function hold(): void {
  const end = performance.now() + HELD_MS;
  while (performance.now() < end);
}

function connectionOf(): pg.ClientConfig {
  const { hostname: host, port, username: user, password } = new URL(inject('databaseUrl'));
  return { host, port: Number(port), user, password: decodeURIComponent(password) };
}
