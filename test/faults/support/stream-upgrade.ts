import { expect } from 'vitest';
import { checkStream } from '../../../libs/ledger/src/cli/stream-check.js';
import { defineLedger } from '../../../libs/ledger/src/define-ledger.js';
import type { LedgerStats } from '../../../libs/ledger/src/ports/ledger-stats.interface.js';
import { layoutOf } from '../../../libs/ledger/src/stream/row-layout.js';
import type { JournalProcess } from './journal-process.js';
import { SETTLE, withFleet, type FleetPlace, type StreamFleet } from './stream-fleet.js';

/** Entries a second of each gateway. */
export const RATE = 1000;
/** Most that one order takes: each process looks at the stream every ten seconds. */
export const UPGRADE_MS = 300_000;
const GATEWAYS = [0, 1];
const WRITERS = [2, 3];
/** The processes of a fleet in the order in which they get the column. */
export const ORDERS = [
  { order: 'writers first', steps: [...WRITERS, ...GATEWAYS] },
  { order: 'gateways first', steps: [...GATEWAYS, ...WRITERS] },
];

const NEWER = { COLUMN: 'region' };
const newer = defineLedger({ columns: { region: 'text' } });
const { fingerprint } = layoutOf(newer);

/** Restarts a fleet's processes with one more column, one by one, and expects each entry once, as its gateway gave it. */
export async function upgradeUnderLoad(
  place: FleetPlace,
  steps: readonly number[],
  start: () => StreamFleet,
): Promise<void> {
  await withFleet(place, start, async (fleet) => {
    const isNewer = new Set<JournalProcess>();
    for (const index of steps) {
      await fleet.restart(index, NEWER);
      isNewer.add(fleet.all[index]!);
      await fleet.goesOn();
      await reachesTheTable(fleet, place, isNewer);
    }
    const { entries } = await fleet.losesNothing();
    expect(entries).toBeGreaterThan(4 * RATE);
    expect(await countWrongRegions(fleet, place, isNewer)).toBe(0);
    for (const { stats } of fleet.all) {
      expect(stats).toMatchObject({ deadLettered: 0, spilled: 0 });
    }
  });
}

/** What writers can read is written, and what they can't is named. */
async function reachesTheTable(
  fleet: StreamFleet,
  place: FleetPlace,
  isNewer: ReadonlySet<JournalProcess>,
): Promise<void> {
  const { gateways } = fleet;
  const olderGateways = gateways.filter((each) => !isNewer.has(each));
  const olderWriters = fleet.writers.filter((each) => !isNewer.has(each));
  const canWait = fleet.stopsAtUnread
    ? olderWriters.length > 0
    : olderWriters.length === fleet.writers.length;
  if (olderGateways.length === gateways.length || !canWait) {
    for (const gateway of gateways) await isWritten(gateway, place);
    return;
  }
  if (!fleet.stopsAtUnread) for (const gateway of olderGateways) await isWritten(gateway, place);
  for (const writer of olderWriters) await leavesAlone(writer, fleet);
  if (olderWriters.length === fleet.writers.length) await isNamedByDoctor(fleet);
}

/** What a gateway has acknowledged until now is in the table. */
async function isWritten({ first, durable }: JournalProcess, { database }: FleetPlace) {
  const sql = `SELECT count(*)::int AS n FROM usage_entries WHERE user_id >= ${first} AND user_id < ${durable}`;
  await expect
    .poll(async () => (await database.sql<{ n: number }>(sql))[0]!.n, SETTLE)
    .toBe(durable - first);
}

/** A writer names the layout that it can't read, and takes no message of it, which it would get again and again. */
async function leavesAlone(writer: JournalProcess, fleet: StreamFleet): Promise<void> {
  await writer.says(
    new RegExp(`messages wait in the stream for a writer .* \\(layout ${fingerprint}\\)`),
  );
  const look = ({ stream }: LedgerStats) => stream?.waiting ?? undefined;
  await writer.hasStats('a look', (stats) => (look(stats)?.unread ?? 0) > 0);
  const [{ at }, before] = [look(writer.stats!)!, writer.stats!.stream!.redelivered];
  await writer.hasStats('another look', (stats) => (look(stats)?.at ?? at) > at);
  expect(look(writer.stats!)!.unread).toBeGreaterThan(0);
  expect(await fleet.consumedLayouts()).not.toContain(fingerprint);
  // A pull that a busy machine holds up returns messages that it can read, and gets them again.
  if (fleet.stopsAtUnread) expect(writer.stats!.stream!.redelivered).toBe(before);
}

async function isNamedByDoctor({ url }: StreamFleet): Promise<void> {
  const found = await checkStream(url, newer);
  const waiting = found.find(({ check }) => check === 'waiting messages');
  expect(waiting).toMatchObject({ status: 'warning' });
  expect(waiting!.message).toContain(fingerprint);
}

/** Entries whose column `region` has not what their gateway gave. */
async function countWrongRegions(
  { lives }: StreamFleet,
  { database }: FleetPlace,
  isNewer: ReadonlySet<JournalProcess>,
): Promise<number> {
  const values = lives.map((life) => `(${life.first}, ${isNewer.has(life) ? "'new'" : 'NULL'})`);
  const [found] = await database.sql<{ n: number }>(`
    WITH lives (first, region) AS (VALUES ${values.join(', ')})
    SELECT count(*)::int AS n
    FROM usage_entries
      JOIN lives ON user_id >= first AND user_id < first + 100000000
    WHERE usage_entries.region IS DISTINCT FROM lives.region`);
  return found!.n;
}
