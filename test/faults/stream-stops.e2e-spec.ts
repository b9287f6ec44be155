import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './support/fault-database.js';
import { countEntries } from './support/journal-entries.js';
import { buildJournalProgram } from './support/journal-process.js';
import { NatsFleet } from './support/nats-fleet.js';

const RATE = 1000;
const DRAIN_MS = 60_000;
const [nats] = findNatsPrograms();

let database: FaultDatabase;
let program: string;
let folder: string;

beforeAll(async () => {
  if (nats === undefined) return;
  program = await buildJournalProgram('stream');
  database = await FaultDatabase.start();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stops-'));
}, 300_000);
afterAll(async () => {
  await database?.dispose();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

describe.skipIf(nats === undefined)('SIGTERM under load (needs nats-server)', () => {
  it('has gateways publish and writers finish what they hold, and loses nothing', async () => {
    const brokers = await NatsServers.start(nats!, 3);
    const [journalDir, spillDir] = [join(folder, 'journal'), join(folder, 'spills')];
    await mkdir(spillDir);
    const parts = { brokers, database, program, journalDir, spillDir, rate: RATE };
    const fleet = new NatsFleet(parts);
    try {
      await fleet.goesOn();
      for (const index of [0, 2, 1, 3]) {
        const { stats, lines } = await fleet.restart(index);
        expect(stats, lines.join('\n')).toMatchObject({ state: 'sealed', depth: 0 });
        // What a writer could not finish goes back to the stream, and stays in its count.
        if (index < 2) expect(stats).toMatchObject({ inFlight: 0, received: 0, dropped: 0 });
        else expect(stats).toMatchObject({ queued: 0, spilled: 0 });
        assertConservation(stats!);
        await fleet.goesOn();
      }
      for (const gateway of fleet.gateways) gateway.signal('SIGUSR2');
      await expect.poll(() => fleet.isSettled(), { timeout: DRAIN_MS, interval: 500 }).toBe(true);
      const counts = await countEntries((sql) => database.sql(sql), fleet.lives);
      expect(counts).toMatchObject({ lost: 0, twice: 0 });
      expect(counts.entries).toBeGreaterThan(2 * RATE);
      for (const each of fleet.all) assertConservation(each.stats!);
    } finally {
      await fleet.end();
      await brokers.stop();
    }
  }, 240_000);
});
