import { createBenchLedger, roomFor } from '../setup/bench-ledger.js';
import type { EntryKind } from '../setup/entries.js';
import { takeTurns } from '../setup/figures.js';
import { ServerCopy } from '../setup/server-copy.js';
import { measure, type Bench, type Part } from './part.js';

/** Tables without rollups, by their indexes in addition to the primary key. */
const TABLES = {
  unindexed: 'indexes: []',
  by_user: "['userId']",
  without_rollups: "['userId', 'apiKeyId']",
} as const satisfies Partial<Record<EntryKind, string>>;
const CONNECTIONS = [1, 2];

/**
 * The cost of an index: the ledger next to the server's own COPY into a table with only its primary
 * key.
 */
export const indexes: Part = {
  name: 'indexes',
  title: 'Rows/s by the indexes of the table',
  async run(bench) {
    for (const connections of CONNECTIONS) await compare(bench, connections);
  },
};

async function compare(bench: Bench, connections: number): Promise<void> {
  const { database, figures, isQuick, rounds } = bench;
  const rows = isQuick ? 10_000 : 200_000;
  const turn =
    (kind: EntryKind, contender: string, work: () => Promise<void>) =>
    async (isCounted: boolean): Promise<void> => {
      await database.clear(kind);
      const { ms } = await measure(work);
      await database.check(kind, rows);
      const key = { group: 'small entries', contender, setting: connections };
      if (isCounted) figures.add({ ...key, metric: 'rows', unit: 'rows/s' }, (rows * 1000) / ms);
    };
  const server = await ServerCopy.open(database, 'unindexed', { rows, connections });
  const turns = [turn('unindexed', 'server alone, primary key only', () => server.run())];
  const opened: { close(): Promise<void> }[] = [server];
  for (const [kind, indexes] of Object.entries(TABLES) as [keyof typeof TABLES, string][]) {
    const options = roomFor(connections === 1 ? 10_000 : 5_000, connections);
    const ledger = await createBenchLedger(database.url, kind, options);
    opened.push(ledger);
    turns.push(turn(kind, `ledger, ${indexes}`, () => ledger.pump(rows)));
  }
  await takeTurns(rounds, turns);
  for (const each of opened) await each.close();
}
