import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultApp } from './support/fault-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { LedgerCommand } from './support/ledger-command.js';
import { expectNothingLost } from './support/nothing-lost.js';
import { waitUntil } from './support/replica.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let primary: FaultDatabase;
let standby: FaultDatabase;
let app: FaultApp;

beforeAll(async () => {
  primary = await FaultDatabase.start();
  standby = await primary.startStandby();
});
afterAll(async () => {
  await app?.dispose();
  await primary?.dispose();
  await standby?.dispose();
});

/** The address with the standby first, so that a client that takes the first is wrong. */
function bothHosts(): string {
  const address = new URL(primary.url);
  const { username, password, port } = address;
  const hosts = `127.0.0.1:${standby.port},127.0.0.1:${port}`;
  return `postgres://${username}:${password}@${hosts}/postgres?target_session_attrs=read-write`;
}

async function countOn(server: FaultDatabase): Promise<number> {
  const count = 'SELECT count(*)::int AS count FROM faults.usage_entries';
  return (await server.sql<{ count: number }>(count))[0]!.count;
}

describe('a ledger with several hosts in its address', () => {
  it('follows the primary to the standby that is promoted, by itself', async () => {
    app = await FaultApp.start(bothHosts());
    app.load(500);
    await app.until(({ written }) => written > 200);
    app.pause();
    const { queued } = await app.settled();
    // An asynchronous standby may be behind: nothing is lost here, as nothing could bring it back.
    await waitUntil('has the standby every row?', async () => (await countOn(standby)) === queued);
    const doctor = await new LedgerCommand(ROOT, bothHosts()).run('doctor');
    expect(doctor.text).toContain('pooler: none');
    await primary.kill();
    // Entries are taken while no server takes them.
    app.load(500);
    const isStandby = `host 127.0.0.1:${standby.port}: is a standby`;
    await app.until((stats) => stats.depth > 200 && app.output.includes(isStandby));
    await standby.promote();
    const { written } = await app.report();
    await app.until((stats) => stats.written > written + 200);
    app.pause();
    const stats = await app.settled();
    expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
    await expectNothingLost(standby, [app]);
    expect(app.output).not.toContain(new URL(primary.url).password);
  });
});
