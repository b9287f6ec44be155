import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { FLEET_STREAM, NatsFleet } from './support/nats-fleet.js';
import { FleetPlace, SETTLE, withFleet } from './support/stream-fleet.js';

const RATE = 1000;
/** A second of entries is more. */
const FEW_BYTES = 100_000;
/** What processes that give no name may do. */
const allow = (permissions: string): string =>
  `authorization { users: [{ user: u, password: p, permissions: { ${permissions} } }] }\nno_auth_user: u`;
const ALL = allow('publish: ">"');
const NO_MESSAGES = allow('publish: { deny: "ledger.>" }');
/** The oldest that is there. */
const nats = findNatsPrograms().at(-1);

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (nats !== undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

/** Runs a fleet under load through what a person does to its stream, and then counts its entries. */
async function loseNothing(
  name: string,
  change: (fleet: NatsFleet, brokers: NatsServers) => Promise<void>,
): Promise<void> {
  const brokers = await NatsServers.start(nats!, 3, ALL);
  const start = () => new NatsFleet({ place: place!, brokers, name, rate: RATE });
  await withFleet(place!, start, async (fleet) => {
    await change(fleet, brokers);
    await fleet.goesOn();
    const { entries } = await fleet.losesNothing();
    expect(entries).toBeGreaterThan(4 * RATE);
    for (const { stats } of fleet.all) {
      expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
    }
  });
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
        const { config } = await fleet.manage(({ streams }) => streams.info(FLEET_STREAM));
        await fleet.manage(({ streams }) => streams.delete(FLEET_STREAM));
        await brokers.reload(ALL);
        const missing = new RegExp(`there is no stream ${FLEET_STREAM} any more`);
        await Promise.all(fleet.gateways.map((gateway) => gateway.says(missing)));
        await areHalted(fleet);
        await fleet.goesOn();
        await fleet.manage(({ streams }) => streams.add(config));
      });
    }, 240_000);

    it('keeps entries in the gateways while it is full, and halts nobody', async () => {
      await loseNothing('full', async (fleet) => {
        const writers = fleet.all.slice(2);
        for (const writer of writers) writer.signal('SIGSTOP');
        const { config } = await fleet.manage(({ streams }) => streams.info(FLEET_STREAM));
        const limit = (bytes: number) =>
          fleet.manage(({ streams }) =>
            streams.update(FLEET_STREAM, { ...config, max_bytes: bytes }),
          );
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
