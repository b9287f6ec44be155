import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { Seed } from './support/seed.js';
import { FleetPlace, loseNothing } from './support/stream-fleet.js';

const KILLS = Number(process.env['LEDGER_STREAM_KILLS'] ?? 3);
/** Most that one kill takes. */
const DRAW_MS = 20_000;
const programs = findNatsPrograms();

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (programs.length > 0) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

/** Messages that no writer is done with. */
async function waitingIn(brokers: NatsServers): Promise<number> {
  const nc = await connect({ servers: brokers.addresses });
  try {
    const { streams } = await jetstreamManager(nc, { checkAPI: false });
    return (await streams.info('ledger-default')).state.messages;
  } finally {
    await nc.close();
  }
}

describe.skipIf(programs.length === 0)('gateways, writers and brokers of NATS', () => {
  it.each(programs)(
    'lose nothing and write nothing twice, whichever of them is killed: nats-server $version',
    { timeout: 180_000 + KILLS * DRAW_MS },
    async (nats) => {
      const seed = Seed.print(`stream kills, nats-server ${nats.version}`);
      const brokers = await NatsServers.start(nats, 3);
      const waiting = (): Promise<number> => waitingIn(brokers);
      const parts = {
        place: place!,
        brokers,
        engine: 'nats',
        name: nats.version,
        waiting,
      } as const;
      await loseNothing(parts, KILLS, seed);
    },
  );
});
