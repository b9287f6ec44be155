import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  findReliableNats,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { NatsFleet } from './support/nats-fleet.js';
import { FleetPlace } from './support/stream-fleet.js';
import { ORDERS, RATE, UPGRADE_MS, upgradeUnderLoad } from './support/stream-upgrade.js';

const [nats] = findReliableNats();

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (nats !== undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

describe.skipIf(nats === undefined)(
  'one more column, under load (needs nats-server 2.10.14 or later)',
  () => {
    it.each(ORDERS)(
      'reaches the table without a loss, and what nobody reads is named: $order',
      async ({ order, steps }) => {
        const brokers = await NatsServers.start(nats!, 3);
        const parts = { place: place!, brokers, name: order, rate: RATE };
        await upgradeUnderLoad(place!, steps, () => new NatsFleet(parts));
      },
      UPGRADE_MS,
    );
  },
);
