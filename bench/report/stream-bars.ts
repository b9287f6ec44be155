import { DURABLE_GROUP } from '../parts/stream/durable-callers.js';
import { LOOP_GROUP } from '../parts/stream/loop-delay.js';
import { RECORDING, ROWS_GROUP } from '../parts/stream/rows-moved.js';
import { atLeast, atMost, type Medians, type Rule } from './bar.js';

/** Bounds of a stream's cost, the same for both engines. Source: the design of streams. */
export const streamRules: Rule = (m) => [
  ...rulesOf(m, { part: 'stream', engine: 'NATS' }),
  ...rulesOf(m, { part: 'stream-kafka', engine: 'Kafka' }),
];

function rulesOf(m: Medians, { part, engine }: { part: string; engine: string }) {
  const get = (group: string, contender: string, metric: string): number =>
    m.get(part, { group, contender, metric }) ?? Number.NaN;
  const rows = (contender: string): number => get(ROWS_GROUP, contender, 'rows');
  const cpu = (contender: string): number => get(ROWS_GROUP, contender, RECORDING);
  const durable = (contender: string): number => get(DURABLE_GROUP, contender, 'entries');
  const delay = (contender: string): number => get(LOOP_GROUP, contender, 'delay p99');
  const pair = '1 gateway, 1 writer';
  return [
    atLeast(
      `rows/s of a gateway into ${engine}, against PostgreSQL`,
      1.5,
      rows('gateway'),
      rows('direct'),
    ),
    atLeast(
      `rows/s through ${engine} to the table, against direct`,
      0.8,
      rows(pair),
      rows('direct'),
    ),
    atLeast(
      `two gateways and two writers against one and one, ${engine}`,
      0.95,
      rows('2 gateways, 2 writers'),
      rows(pair),
    ),
    atMost(
      `CPU of a gateway per entry into ${engine}, against direct`,
      [1.3, 'x'],
      cpu('gateway') / cpu('direct'),
    ),
    atLeast(
      `durable in ${engine} at 100 callers against a publish per row`,
      5,
      durable('recordAndWait, durable'),
      durable('a publish per row'),
    ),
    atMost(
      `loop delay p99 of a gateway into ${engine} over direct, 50,000 entries/s`,
      [1, 'ms'],
      delay('gateway') - delay('direct'),
    ),
  ];
}
