import { quoteIdentifier } from '../../libs/ledger/src/postgres/quote-sql.js';
import { randomUUID } from 'node:crypto';
import { newEntryUuid } from '../../libs/ledger/src/codec/uuid.js';
import { createPartitions } from '../../libs/ledger/src/partitions/create-partitions.js';
import { listPartitions } from '../../libs/ledger/src/partitions/list-partitions.js';
import { periodAt, periodsBetween } from '../../libs/ledger/src/partitions/period.js';
import {
  detachPartitions,
  dropRetired,
} from '../../libs/ledger/src/partitions/retire-partitions.js';
import { sessionOfClient } from '../../libs/ledger/src/postgres/fixtures/session-of-client.fixture.js';
import { sqlStateOf } from '../../libs/ledger/src/postgres/read-pg-error.js';
import { rollupRetirement } from '../../libs/ledger/src/rollup/rollup-retirement.js';
import type { RollupBench } from './rollup-bench.js';
import { expectRefused, type MoreHistory } from './rollup-history.js';

const DAY_MS = 86_400_000;
const LOCK_NOT_AVAILABLE = '55P03';

/** How often each of the things happened that may fail for want of a lock. */
export interface PartitionTally {
  created: number;
  retired: number;
  changed: number;
}

/** What happens to the partitions of a table, and to rows in one of them, at random. */
export function partitionHistory(
  { client, table }: RollupBench,
  random: () => number,
  tally: PartitionTally = { created: 0, retired: 0, changed: 0 },
): MoreHistory {
  const session = sessionOfClient(client);
  // Transactions of the history may hold the table: then another step comes first.
  const patience = { withinMs: 0, lockTimeoutMs: 50 };
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;

  const create = async (): Promise<void> => {
    const from = Date.now() - random() * 110 * DAY_MS;
    const periods = periodsBetween('month', from, from + random() * 60 * DAY_MS);
    const { created } = await createPartitions(session, table, periods, patience);
    tally.created += created.length;
  };
  const retire = async (): Promise<void> => {
    const cutoff = periodAt('month', Date.now() - random() * 100 * DAY_MS).from;
    const options = { ...patience, hooks: rollupRetirement };
    const retired = (await detachPartitions(session, table, cutoff, options)) ?? [];
    for (const one of retired) await dropRetired(session, one);
    tally.retired += retired.length;
  };
  const change = async (isPaused: boolean): Promise<void> => {
    const { path, partitions } = (await listPartitions(session, table))!;
    const on = `${quoteIdentifier(path.schema)}.${quoteIdentifier(pick(partitions).name)}`;
    const some = `uuid IN (SELECT uuid FROM ${on} ORDER BY random() LIMIT 4 FOR UPDATE SKIP LOCKED)`;
    const statements = [
      `UPDATE ${on} SET prompt_tokens = ${Math.floor(random() * 500)} WHERE ${some}`,
      `DELETE FROM ${on} WHERE ${some}`,
    ];
    if (!isPaused) {
      const statement = pick([...statements, `TRUNCATE ${on}`]);
      return expectRefused(client, `SET lock_timeout = 50; ${statement}`);
    }
    const { rowCount } = await client.query(pick(statements));
    tally.changed += rowCount ?? 0;
    if (random() < 0.1) await client.query(`SET lock_timeout = 50; TRUNCATE ${on}`);
  };

  return {
    uuid: (createdAt) => {
      if (random() < 0.1) return randomUUID();
      return newEntryUuid(random() < 0.1 ? new Date(Date.now() - random() * 1e10) : createdAt);
    },
    step: async (isPaused) => {
      try {
        await pick([create, create, retire, change, change])(isPaused);
      } catch (error) {
        if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
      } finally {
        await client.query('RESET lock_timeout');
      }
    },
  };
}
