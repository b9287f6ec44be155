import { formatNumber } from './print-part.js';
import { atLeast, atMost, type Rule } from './bar.js';

/** Maximum p99 of a read in milliseconds. Source: the ledger's promise for its reads. */
const READ_MS = 5;
const READS = [
  'summary',
  'summary, all time',
  'listRecent, first page',
  'listRecent, a later page',
];

/** Measurements in tables of ten million rows. */
export const largeTableRules: Rule = (m) => [
  ...m
    .all('read', { metric: 'p99' })
    .filter(({ contender }) => READS.includes(contender))
    .map(({ group, contender, setting }) => {
      const get = (name: string): number =>
        m.get('read', { group, metric: 'p99', contender: name, setting }) ?? Number.NaN;
      // If writers use all cores, any read first waits for one.
      const floor = formatNumber(get('SELECT 1, the floor'));
      const name = `${contender}, p99, ${setting}, ${group} (SELECT 1 beside it: ${floor} ms)`;
      return atMost(name, [READ_MS, 'ms'], get(contender));
    }),
  atLeast(
    'rows/s with the indexes of rollups, against without',
    0.9,
    m.get('read', { contender: 'with rollups', metric: 'rows' }),
    m.get('read', { contender: 'without rollups', metric: 'rows' }),
  ),
  ...m.all('partitions', { contender: 'partitions', metric: 'rows' }).map(({ group, setting }) => {
    const rows = (contender: string): number =>
      m.get('partitions', { group, contender, setting, metric: 'rows' }) ?? Number.NaN;
    const name = `rows/s with partitions, ${setting} rows, against an empty table, ${group}`;
    return atLeast(name, 0.85, rows('partitions'), rows('partitions, empty at first'));
  }),
];
