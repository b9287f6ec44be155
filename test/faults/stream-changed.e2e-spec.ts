import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  findReliableNats,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { ALL_ALLOWED, FLEET_STREAM, NatsFleet } from './support/nats-fleet.js';
import {
  CHANGE_MS,
  keepEntries,
  loseNothing,
  RATE,
  withdrawAndDelete,
} from './support/stream-changes.js';
import { FleetPlace } from './support/stream-fleet.js';

/** A second of entries is more. */
const FEW_BYTES = 100_000;
const [nats] = findReliableNats();

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (nats !== undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

async function changeUnderLoad(
  name: string,
  change: (fleet: NatsFleet) => Promise<void>,
): Promise<void> {
  const brokers = await NatsServers.start(nats!, 3, ALL_ALLOWED);
  const parts = { place: place!, brokers, name, rate: RATE };
  await loseNothing(place!, () => new NatsFleet(parts), change);
}

/** Lets the stream have a few bytes only, while no writer takes any, and then as many as before. */
async function fill(fleet: NatsFleet): Promise<void> {
  for (const writer of fleet.writers) writer.signal('SIGSTOP');
  const { config } = await fleet.manage(({ streams }) => streams.info(FLEET_STREAM));
  const limit = (bytes: number) =>
    fleet.manage(({ streams }) => streams.update(FLEET_STREAM, { ...config, max_bytes: bytes }));
  await keepEntries(fleet, /the stream has no room/, () => limit(FEW_BYTES));
  for (const writer of fleet.writers) writer.signal('SIGCONT');
  await limit(config.max_bytes);
}

describe.skipIf(nats === undefined)(
  'a stream that is changed under load (needs nats-server 2.10.14 or later)',
  () => {
    it(
      'halts gateways without a permission or a stream, and they go on with both',
      () => changeUnderLoad('withdrawn', withdrawAndDelete),
      CHANGE_MS,
    );

    it(
      'keeps entries in the gateways while it is full, and halts nobody',
      () => changeUnderLoad('full', fill),
      CHANGE_MS,
    );
  },
);
