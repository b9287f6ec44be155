import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defineLedger } from '../../libs/ledger/src/define-ledger.js';
import { checkStream } from '../../libs/ledger/src/cli/stream-check.js';
import {
  findReliableNats,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { NatsFleet } from './support/nats-fleet.js';
import { FleetPlace, SETTLE, withFleet } from './support/stream-fleet.js';

const RATE = 2000;
const STORES = 'main,archive';
/** The writer of each store. */
const [MAIN, ARCHIVE] = [2, 3];
const [nats] = findReliableNats();

let place: FleetPlace;

beforeAll(async () => {
  if (nats !== undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

function environment(index: number): Record<string, string> {
  if (index === ARCHIVE) return { STORES, STORE: 'archive', SCHEMA: 'archive' };
  return index === MAIN ? { STORES, STORE: 'main' } : { STORES };
}

/** Entries of a table that the other has not, and those that a table has twice. */
async function compareStores(): Promise<unknown> {
  const [found] = await place.database.sql(`
    SELECT
      (SELECT count(*)::int FROM public.usage_entries) AS main,
      (SELECT count(*)::int FROM archive.usage_entries) AS archive,
      (SELECT count(*)::int FROM (
        SELECT uuid FROM public.usage_entries EXCEPT SELECT uuid FROM archive.usage_entries
      ) AS lost) AS lost,
      (SELECT (count(*) - count(DISTINCT user_id))::int FROM archive.usage_entries) AS twice`);
  return found;
}

describe.skipIf(nats === undefined)(
  'two stores under load (needs nats-server 2.10.14 or later)',
  () => {
    it('each get every entry once, while one of them is killed', async () => {
      const brokers = await NatsServers.start(nats!, 3);
      const name = 'stores';
      const start = () => new NatsFleet({ place, brokers, name, rate: RATE, environment });
      await place.database.sql('DROP SCHEMA IF EXISTS archive CASCADE');
      await withFleet(place, start, async (fleet) => {
        const main = fleet.all[MAIN]!;
        await main.hasStats('its first figures', () => true);
        for (let kill = 0; kill < 3; kill++) {
          await fleet.all[ARCHIVE]!.kill();
          const before = main.stats!.written ?? 0;
          await fleet.goesOn();
          // The other store does not wait for it.
          await main.hasStats('goes on', ({ written }) => (written ?? 0) > before + RATE);
          await fleet.replace(ARCHIVE);
        }
        await fleet.replace(0);
        await fleet.replace(MAIN);
        await fleet.goesOn();
        const { entries } = await fleet.losesNothing();
        await expect
          .poll(compareStores, SETTLE)
          .toEqual({ main: entries, archive: entries, lost: 0, twice: 0 });
        for (const store of STORES.split(',')) {
          const url = `${fleet.url}?retention=interest&stores=${STORES}&store=${store}`;
          const found = await checkStream(url, defineLedger({}));
          expect(found.at(-1)).toMatchObject({ check: 'waiting messages', status: 'ok' });
          expect(found.at(-1)!.message).toMatch(/^0 /);
        }
      });
    }, 300_000);
  },
);
