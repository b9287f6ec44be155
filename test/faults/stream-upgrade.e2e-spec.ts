import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkStream } from '../../libs/ledger/src/cli/stream-check.js';
import { defineLedger } from '../../libs/ledger/src/define-ledger.js';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { layoutOf } from '../../libs/ledger/src/stream/row-layout.js';
import type { JournalProcess } from './support/journal-process.js';
import { NatsFleet } from './support/nats-fleet.js';
import { FleetPlace, SETTLE, withFleet } from './support/stream-fleet.js';

const RATE = 1000;
const NEWER = { COLUMN: 'region' };
const newer = defineLedger({ columns: { region: 'text' } });
const GATEWAYS = [0, 1] as const;
const WRITERS = [2, 3] as const;
/** The oldest that is there. */
const nats = findNatsPrograms().at(-1);

let place: FleetPlace | undefined;

beforeAll(async () => {
  if (nats !== undefined) place = await FleetPlace.make();
}, 300_000);
afterAll(() => place?.remove());

/** What a gateway has acknowledged until now is in the table. */
async function isWritten({ first, durable }: JournalProcess): Promise<void> {
  const sql = `SELECT count(*)::int AS n FROM usage_entries WHERE user_id >= ${first} AND user_id < ${durable}`;
  await expect
    .poll(async () => (await place!.database.sql<{ n: number }>(sql))[0]!.n, SETTLE)
    .toBe(durable - first);
}

/** Entries whose column `region` has not what their gateway gave. */
async function countWrongRegions(lives: readonly JournalProcess[], isNewer: Set<JournalProcess>) {
  const values = lives.map((life) => `(${life.first}, ${isNewer.has(life) ? "'new'" : 'NULL'})`);
  const [found] = await place!.database.sql<{ n: number }>(`
    WITH lives (first, region) AS (VALUES ${values.join(', ')})
    SELECT count(*)::int AS n
    FROM usage_entries
      JOIN lives ON user_id >= first AND user_id < first + 100000000
    WHERE usage_entries.region IS DISTINCT FROM lives.region`);
  return found!.n;
}

describe.skipIf(nats === undefined)('one more column, under load (needs nats-server)', () => {
  it.each([
    { order: 'writers first', steps: [...WRITERS, ...GATEWAYS] },
    { order: 'gateways first', steps: [...GATEWAYS, ...WRITERS] },
  ])(
    'reaches the table without a loss, and what nobody reads is named: $order',
    async ({ order, steps }) => {
      const brokers = await NatsServers.start(nats!, 3);
      const start = () => new NatsFleet({ place: place!, brokers, name: order, rate: RATE });
      await withFleet(place!, start, async (fleet) => {
        const isNewer = new Set<JournalProcess>();
        for (const [done, index] of steps.entries()) {
          await fleet.restart(index, NEWER);
          isNewer.add(fleet.all[index]!);
          await fleet.goesOn();
          const [older] = fleet.gateways.filter((gateway) => !isNewer.has(gateway));
          const hasReader = WRITERS.some((writer) => isNewer.has(fleet.all[writer]!));
          if (older !== undefined) await isWritten(older);
          if (hasReader) for (const gateway of fleet.gateways) await isWritten(gateway);
          else await expectNamed(fleet, done === 0);
        }
        const { entries } = await fleet.losesNothing();
        expect(entries).toBeGreaterThan(4 * RATE);
        expect(await countWrongRegions(fleet.lives, isNewer)).toBe(0);
        for (const { stats } of fleet.all) {
          expect(stats).toMatchObject({ deadLettered: 0, spilled: 0 });
        }
      });
    },
    300_000,
  );
});

/**
 * Messages with the new column wait: each writer's log and `doctor` name their layout, and no writer takes them, so none is
 * delivered again and again.
 */
async function expectNamed(fleet: NatsFleet, isFirst: boolean): Promise<void> {
  const { fingerprint } = layoutOf(newer);
  const line = new RegExp(
    `messages wait in the stream for a writer .* \\(layout ${fingerprint}\\)`,
  );
  const writers = WRITERS.map((index) => fleet.all[index]!);
  if (isFirst) for (const writer of writers) await writer.says(line);
  const [, waiting] = await checkStream(fleet.url, newer);
  expect(waiting).toMatchObject({ check: 'waiting messages', status: 'warning' });
  expect(waiting!.message).toContain(fingerprint);
  for (const writer of writers) {
    await writer.hasStats(
      'a look at the stream',
      ({ stream }) => (stream?.waiting?.unread ?? 0) > 0,
    );
  }
  // What is delivered to nobody is not delivered again and again.
  expect(await fleet.layouts()).toEqual([layoutOf(defineLedger({})).fingerprint]);
}
