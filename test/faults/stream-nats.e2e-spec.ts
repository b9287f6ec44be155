import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verify } from '../../libs/ledger/src/cli/verify.command.js';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { BrokerNetwork } from './support/broker-network.js';
import { QUIET } from './support/nothing-lost.js';
import { Seed } from './support/seed.js';
import { hold, NatsFleet } from './support/nats-fleet.js';
import { FleetPlace, withFleet } from './support/stream-fleet.js';

const DRAWS = Number(process.env['LEDGER_STREAM_DRAWS'] ?? 3);
/** Entries a second of each of two gateways. */
const RATE = Number(process.env['LEDGER_STREAM_RATE'] ?? 3000);
/** A file for what was found, as JSON. */
const COUNTS = process.env['LEDGER_SOAK_COUNTS'];
/** Most that one fault takes. */
const DRAW_MS = 20_000;
const BROKERS = 3;
/** A soak counts one of them. */
const programs = findNatsPrograms().slice(0, COUNTS === undefined ? undefined : 1);
const hasNetwork = BrokerNetwork.isAvailable();
const FAULTS = [
  ...['gateway', 'writer', 'broker', 'leader', 'postgres', 'pause of a process'],
  ...['pause of a broker', ...(hasNetwork ? ['partition'] : [])],
];

let place: FleetPlace | undefined;
let network: BrokerNetwork | undefined;

beforeAll(async () => {
  if (programs.length === 0) return;
  place = await FleetPlace.make();
  if (hasNetwork) network = BrokerNetwork.create(BROKERS);
}, 300_000);
afterAll(async () => {
  network?.dispose();
  await place?.remove();
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
    await place!.database.kill();
    await pause(ms);
    return place!.database.restart();
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
      const brokers = await NatsServers.start(nats, BROKERS, '', network?.places);
      const parts = { place: place!, brokers, name: nats.version, rate: RATE };
      await withFleet(
        place!,
        () => new NatsFleet(parts),
        async (fleet) => {
          const deck = seed.deck(FAULTS);
          for (let draw = 0; draw < DRAWS; draw++) {
            await strike(deck.next().value, { fleet, brokers, seed });
            await fleet.goesOn();
          }
          const counts = await fleet.losesNothing();
          if (COUNTS !== undefined) {
            await writeFile(COUNTS, JSON.stringify({ done: DRAWS, ...counts }));
          }
          await expectNoHole(fleet);
        },
      );
    },
  );
});

/** `verify --stream` finds each entry before the last one that is known to be on file. */
async function expectNoHole({ lives: gateways, journalDir, url }: NatsFleet): Promise<void> {
  const { database, spillDir } = place!;
  const files = [spillDir];
  const at = { databaseUrl: database.url, journalDir, files, grace: 0, stream: url };
  const { runs } = await verify(at, QUIET);
  const lives = new Map(gateways.map((life) => [life.run, life]));
  for (const { run, missingRanges } of runs) {
    const life = lives.get(run);
    const onFile = life === undefined ? Infinity : life.durable - life.first;
    expect(missingRanges.filter(({ from }) => from < onFile)).toEqual([]);
  }
}
