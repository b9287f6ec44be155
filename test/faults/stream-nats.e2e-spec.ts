import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  findReliableNats,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { NatsFleet } from './support/nats-fleet.js';
import { Seed } from './support/seed.js';
import { BROKERS, DRAWS, FaultSite, RATE, surviveFaults } from './support/stream-faults.js';

/** Most that one fault takes. */
const DRAW_MS = 20_000;
const [nats] = findReliableNats();

let site: FaultSite | undefined;

beforeAll(async () => {
  if (nats !== undefined) site = await FaultSite.make();
}, 300_000);
afterAll(() => site?.remove());

FaultSite.skipPartitions();

const title = 'gateways, writers and brokers of NATS (need nats-server 2.10.14 or later)';
describe.skipIf(nats === undefined)(title, () => {
  it(
    'lose nothing and write nothing twice, whatever becomes of them',
    { timeout: 180_000 + DRAWS * DRAW_MS },
    async () => {
      const { version } = nats!;
      const seed = Seed.print(`faults of a stream, nats-server ${version}`);
      const { place, network } = site!;
      const brokers = await NatsServers.start(nats!, BROKERS, '', network?.places);
      const parts = { place, brokers, name: version, rate: RATE };
      await surviveFaults({ site: site!, brokers, seed }, () => new NatsFleet(parts));
    },
  );
});
