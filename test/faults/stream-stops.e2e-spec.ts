import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { NatsFleet } from './support/nats-fleet.js';
import { FleetPlace, withFleet } from './support/stream-fleet.js';

const RATE = 1000;
const [nats] = findNatsPrograms();

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (nats !== undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

describe.skipIf(nats === undefined)('SIGTERM under load (needs nats-server)', () => {
  it('has gateways publish and writers finish what they hold, and loses nothing', async () => {
    const brokers = await NatsServers.start(nats!, 3);
    const start = () => new NatsFleet({ place: place!, brokers, name: 'stops', rate: RATE });
    await withFleet(place!, start, async (fleet) => {
      for (const index of [0, 2, 1, 3]) {
        const { stats, lines } = await fleet.restart(index);
        expect(stats, lines.join('\n')).toMatchObject({ state: 'sealed', depth: 0 });
        // What a writer could not finish goes back to the stream, and stays in its count.
        if (index < 2) expect(stats).toMatchObject({ inFlight: 0, received: 0, dropped: 0 });
        else expect(stats).toMatchObject({ queued: 0, spilled: 0 });
        assertConservation(stats!);
        await fleet.goesOn();
      }
      await fleet.losesNothing();
    });
  }, 240_000);
});
