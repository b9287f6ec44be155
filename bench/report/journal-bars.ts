import { atLeast, atMost, type Rule } from './bar.js';

const RECORD = 'record(), 100 entries a turn';
const TURNS = 'alternately in one process';
const DURABLE = 'durable, 50,000 entries/s';
const HELD = 'a response, half the top rate';

/** Bounds of the journal's cost. */
export const journalRules: Rule = (m) => {
  const get = (contender: string, metric: string, group?: string): number =>
    m.get('journal', { contender, metric, ...(group === undefined ? {} : { group }) }) ??
    Number.NaN;
  const record = (contender: string): number => get(contender, 'record() mean', RECORD);
  const inTurns = (contender: string): number => get(contender, 'record(), median', TURNS);
  const loop = (contender: string): number => get(contender, 'loop, median', TURNS);
  const held = (metric: string): number =>
    get('held until durable', metric, HELD) / get('no journal', metric, HELD);
  // The random difference between two processes with the same work.
  const noise = (metric: string): number =>
    Math.max(1, get('no journal, again', metric, HELD) / get('no journal', metric, HELD));
  const fresh = 'journal of a killed process';
  return [
    atMost(
      'record() with the journal, turn',
      [1.15, 'x'],
      inTurns('ledger, turn') / inTurns('ledger'),
    ),
    atMost(
      'record() with the journal, entry, against OpenTelemetry in memory',
      [0.7, 'x'],
      record('ledger, entry') / record('OpenTelemetry'),
    ),
    atMost(
      'time of the event loop per entry, turn, above none',
      [0.4, 'µs'],
      loop('ledger, turn') - loop('ledger'),
    ),
    atMost('wait for durable, turn, p99', [2, 'ms'], get('turn', 'wait p99', DURABLE)),
    atMost(
      'wait for durable, power, p99, against a bare write and fdatasync',
      [3, 'x'],
      get('power', 'wait p99', DURABLE) / get('a bare write and fdatasync', 'wait p99', DURABLE),
    ),
    atLeast(
      'rows/s with the journal, against without',
      0.95,
      get('turn', 'rows'),
      get('no journal', 'rows'),
    ),
    atMost('response held for durable, p50', [1.05 * noise('p50'), 'x'], held('p50')),
    atMost('response held for durable, p99', [1.05 * noise('p99'), 'x'], held('p99')),
    atLeast(
      'rows/s after a restart, against a COPY of ready bytes',
      0.8,
      get(fresh, 'rows'),
      get('COPY of ready bytes', 'rows'),
    ),
  ];
};
