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
import { countEntries, dropLedger } from './support/journal-entries.js';
import { buildJournalProgram } from './support/journal-process.js';
import { FLEET_STREAM, NatsFleet } from './support/nats-fleet.js';

const RATE = 1000;
const SETTLE = { timeout: 60_000, interval: 500 };
/** A second of entries is more. */
const FEW_BYTES = 100_000;
/** What processes that give no name may do. */
const allow = (permissions: string): string =>
  `authorization { users: [{ user: u, password: p, permissions: { ${permissions} } }] }\nno_auth_user: u`;
const ALL = allow('publish: ">"');
const NO_MESSAGES = allow('publish: { deny: "ledger.>" }');
/** The oldest that is there. */
const nats = findNatsPrograms().at(-1);

let database: FaultDatabase;
let program: string;
let folder: string;

beforeAll(async () => {
  if (nats === undefined) return;
  program = await buildJournalProgram('stream');
  database = await FaultDatabase.start();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-changed-'));
}, 300_000);
afterAll(async () => {
  await database?.dispose();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** Runs a fleet under load through what a person does to its stream, and then counts its entries. */
async function loseNothing(
  name: string,
  change: (fleet: NatsFleet, brokers: NatsServers) => Promise<void>,
): Promise<void> {
  await dropLedger(database);
  const brokers = await NatsServers.start(nats!, 3, ALL);
  const [journalDir, spillDir] = [join(folder, name), join(folder, 'spills')];
  await mkdir(spillDir, { recursive: true });
  const fleet = new NatsFleet({ brokers, database, program, journalDir, spillDir, rate: RATE });
  try {
    await fleet.goesOn();
    await change(fleet, brokers);
    await fleet.goesOn();
    for (const gateway of fleet.gateways) gateway.signal('SIGUSR2');
    await expect.poll(() => fleet.isSettled(), SETTLE).toBe(true);
    const counts = await countEntries((sql) => database.sql(sql), fleet.lives);
    process.stdout.write(`${name}: ${JSON.stringify(counts)}\n`);
    expect(counts).toMatchObject({ lost: 0, twice: 0 });
    expect(counts.entries).toBeGreaterThan(4 * RATE);
    for (const { stats } of fleet.all) {
      expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
      assertConservation(stats!);
    }
    for (const { refusals } of fleet.lives) expect(refusals).toEqual([]);
  } finally {
    await fleet.end();
    await brokers.stop();
  }
}

async function areHalted(fleet: NatsFleet): Promise<void> {
  for (const gateway of fleet.gateways) {
    await gateway.hasStats('a halt', ({ state }) => state === 'halted');
  }
}

describe.skipIf(nats === undefined)(
  'a stream that is changed under load (needs nats-server)',
  () => {
    it('halts gateways without a permission or a stream, and they go on with both', async () => {
      await loseNothing('withdrawn', async (fleet, brokers) => {
        await brokers.reload(NO_MESSAGES);
        await areHalted(fleet);
        await fleet.goesOn();
        // What waits in a stream is deleted with it, so the writers take it first.
        await expect.poll(() => fleet.waiting(), SETTLE).toBe(0);
        const { config } = await fleet.manage((streams) => streams.info(FLEET_STREAM));
        await fleet.manage((streams) => streams.delete(FLEET_STREAM));
        await brokers.reload(ALL);
        const missing = new RegExp(`there is no stream ${FLEET_STREAM} any more`);
        await Promise.all(fleet.gateways.map((gateway) => gateway.says(missing)));
        await areHalted(fleet);
        await fleet.goesOn();
        await fleet.manage((streams) => streams.add(config));
      });
    }, 240_000);

    it('keeps entries in the gateways while it is full, and halts nobody', async () => {
      await loseNothing('full', async (fleet) => {
        const writers = fleet.all.slice(2);
        for (const writer of writers) writer.signal('SIGSTOP');
        const { config } = await fleet.manage((streams) => streams.info(FLEET_STREAM));
        const limit = (bytes: number) =>
          fleet.manage((streams) => streams.update(FLEET_STREAM, { ...config, max_bytes: bytes }));
        await limit(FEW_BYTES);
        await Promise.all(fleet.gateways.map((gateway) => gateway.says(/the stream has no room/)));
        await fleet.goesOn();
        for (const gateway of fleet.gateways) {
          await gateway.hasStats('entries that wait', ({ depth }) => depth > 0);
          expect(gateway.stats!.state).not.toBe('halted');
          expect(gateway.lines.filter((line) => /halted/i.test(line))).toEqual([]);
        }
        for (const writer of writers) writer.signal('SIGCONT');
        await limit(config.max_bytes);
      });
    }, 240_000);
  },
);
