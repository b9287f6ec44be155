import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../libs/ledger/src/cli/verify.command.js';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { BrokerNetwork } from './support/broker-network.js';
import { FaultDatabase } from './support/fault-database.js';
import { countEntries, dropLedger } from './support/journal-entries.js';
import { buildJournalProgram } from './support/journal-process.js';
import { QUIET } from './support/nothing-lost.js';
import { Seed } from './support/seed.js';
import { hold, NatsFleet } from './support/nats-fleet.js';

const DRAWS = Number(process.env['LEDGER_STREAM_DRAWS'] ?? 3);
/** Entries a second of each of two gateways. */
const RATE = Number(process.env['LEDGER_STREAM_RATE'] ?? 3000);
/** A file for what was found, as JSON. */
const COUNTS = process.env['LEDGER_SOAK_COUNTS'];
/** Most that one fault takes. */
const DRAW_MS = 20_000;
/** More than the election of a leader, which takes up to six seconds. */
const DRAIN_MS = 60_000;
const BROKERS = 3;
/** A soak counts one of them. */
const programs = findNatsPrograms().slice(0, COUNTS === undefined ? undefined : 1);
const hasNetwork = BrokerNetwork.isAvailable();
const FAULTS = [
  ...['gateway', 'writer', 'broker', 'leader', 'postgres', 'pause of a process'],
  ...['pause of a broker', ...(hasNetwork ? ['partition'] : [])],
];

let database: FaultDatabase;
let program: string;
let folder: string;
let network: BrokerNetwork | undefined;

beforeAll(async () => {
  if (programs.length === 0) return;
  program = await buildJournalProgram('stream');
  database = await FaultDatabase.start();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stream-'));
  if (hasNetwork) network = BrokerNetwork.create(BROKERS);
}, 300_000);
afterAll(async () => {
  network?.dispose();
  await database?.dispose();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

if (!hasNetwork) it.skip('partitions of a broker (needs root, and ip netns)');

/** Lets one fault happen, and ends it. */
async function strike(
  fault: string,
  { fleet, brokers, seed }: { fleet: NatsFleet; brokers: NatsServers; seed: Seed },
): Promise<void> {
  const [broker, one, ms] = [
    seed.integer(0, BROKERS - 1),
    seed.integer(0, 1),
    seed.integer(0, 4000),
  ];
  process.stdout.write(`${fault} (broker ${broker}, process ${one}, ${ms} ms)\n`);
  if (fault === 'gateway') return fleet.replace(one);
  if (fault === 'writer') return fleet.replace(2 + one);
  if (fault === 'postgres') {
    await database.kill();
    await pause(ms);
    return database.restart();
  }
  if (fault === 'partition') {
    network!.cut(broker);
    await pause(2 * ms);
    return network!.heal(broker);
  }
  const { [seed.integer(0, 3)]: process_ } = fleet.all;
  if (fault === 'pause of a process') return hold((name) => process_!.signal(name), ms);
  if (fault === 'pause of a broker') return hold((name) => brokers.signal(broker, name), ms);
  const victim =
    fault === 'leader' ? ((await fleet.leader().catch(() => broker)) ?? broker) : broker;
  await brokers.signal(victim, 'SIGKILL');
  await pause(ms);
  await brokers.restart(victim);
}

describe.skipIf(programs.length === 0)('gateways, writers and brokers of NATS', () => {
  it.each(programs)(
    'lose nothing and write nothing twice, whatever becomes of them: nats-server $version',
    { timeout: 180_000 + DRAWS * DRAW_MS },
    async (nats) => {
      const seed = Seed.print(`faults of a stream, nats-server ${nats.version}`);
      await dropLedger(database);
      const brokers = await NatsServers.start(nats, BROKERS, '', network?.places);
      const journalDir = join(folder, nats.version);
      const spillDir = join(folder, 'spills');
      await mkdir(spillDir, { recursive: true });
      const fleet = new NatsFleet({
        ...{ brokers, database, program, journalDir, spillDir },
        rate: RATE,
      });
      const deck: string[] = [];
      try {
        await fleet.goesOn();
        for (let draw = 0; draw < DRAWS; draw++) {
          // Each kind once before one comes again.
          if (deck.length === 0) deck.push(...FAULTS);
          const [fault] = deck.splice(seed.integer(0, deck.length - 1), 1);
          await strike(fault!, { fleet, brokers, seed });
          await fleet.goesOn();
        }
        for (const gateway of fleet.gateways) gateway.signal('SIGUSR2');
        await expect.poll(() => fleet.isSettled(), { timeout: DRAIN_MS, interval: 500 }).toBe(true);
        const counts = await countEntries((sql) => database.sql(sql), fleet.lives);
        const { entries, lost, twice } = counts;
        process.stdout.write(`${entries} entries, ${lost} lost, ${twice} twice\n`);
        if (COUNTS !== undefined) {
          await writeFile(COUNTS, JSON.stringify({ done: DRAWS, ...counts }));
        }
        expect({ lost, twice }).toEqual({ lost: 0, twice: 0 });
        expect(entries).toBeGreaterThan(2 * RATE);
        for (const each of fleet.all) assertConservation(each.stats!);
        for (const { refusals } of fleet.lives) expect(refusals).toEqual([]);
        await expectNoHole({ fleet, brokers, journalDir, spillDir });
      } finally {
        await fleet.end();
        await brokers.stop();
      }
    },
  );
});

/** `verify --stream` finds each entry before the last one that is known to be on file. */
async function expectNoHole({
  fleet,
  brokers,
  journalDir,
  spillDir,
}: {
  fleet: NatsFleet;
  brokers: NatsServers;
  journalDir: string;
  spillDir: string;
}): Promise<void> {
  const stream = `nats://${brokers.addresses.map((each) => new URL(each).host).join(',')}`;
  const at = { databaseUrl: database.url, journalDir, files: [spillDir], grace: 0, stream };
  const { runs } = await verify(at, QUIET);
  const lives = new Map(fleet.lives.map((life) => [life.run, life]));
  for (const { run, missingRanges } of runs) {
    const life = lives.get(run);
    const onFile = life === undefined ? Infinity : life.durable - life.first;
    expect(missingRanges.filter(({ from }) => from < onFile)).toEqual([]);
  }
}
