import { median } from '../setup/figures.js';
import { atLeast, atMost, Medians, type Bar, type Known, type Rule } from './bar.js';
import { autoRules } from './auto-bars.js';
import { journalRules } from './journal-bars.js';
import { largeTableRules } from './large-table-bars.js';
import { streamRules } from './stream-bars.js';

export type { Bar } from './bar.js';

/** The bars whose figures were measured, in the order of the parts. */
export function readBars(figures: readonly Known[]): Bar[] {
  const medians = new Medians(figures);
  return RULES.flatMap((rule) => rule(medians)).filter((bar) => bar !== undefined);
}

const throughputRules: Rule = (m) => {
  const group = 'small entries, all contenders';
  const rows = (contender: string): number =>
    m.get('throughput', { group, contender, metric: 'rows' }) ?? Number.NaN;
  const two = rows('ledger, 2 workers');
  const one = rows('ledger, 1 worker');
  const best = Math.max(one, two);
  const batch = { group: 'small entries, 2 workers, copy', contender: 'ledger', setting: 5000 };
  const against = m.lowest('throughput', ['ledger', 'bare loop'], (f) => f.group.endsWith('copy'));
  const rates = m.all('throughput', { contender: 'ledger', metric: 'rows' });
  const small = rates.filter((f) => f.group.startsWith('small') && f.group.endsWith('copy'));
  const top = (list: readonly Known[]): number =>
    Math.max(Number.NEGATIVE_INFINITY, ...list.map(({ values }) => median(values)));
  const fifty = small.filter(({ group: name }) => name.includes('50 workers'));
  return [
    atLeast(
      'rows/s against the server alone, 2 connections',
      0.9,
      two,
      rows('server alone, 2 connections'),
    ),
    atLeast(
      'rows/s against the server alone, 1 connection',
      1,
      one,
      rows('server alone, 1 connection'),
    ),
    atLeast(
      "rows/s against TypeORM's insert builder",
      6,
      best,
      rows('TypeORM insert().values(), 1,000 rows'),
    ),
    atLeast('rows/s against unnest', 1.5, best, rows('unnest, 1,000 rows')),
    atLeast(
      'rows/s against one INSERT per entry on 10 connections',
      25,
      best,
      rows('one INSERT per entry, 10 connections'),
    ),
    atLeast(`against the bare loop, lowest of all (${against?.where})`, 0.9, against?.ratio),
    fifty.length > 0
      ? atLeast('50 workers against the best', 0.75, top(fifty), top(small))
      : undefined,
    atMost(
      'CPU of Node per entry at batch 5,000',
      [1.3, 'µs'],
      m.get('throughput', { ...batch, metric: 'CPU of Node' }),
    ),
  ];
};

const recordRules: Rule = (m) => {
  const own = m
    .all('record', { contender: 'ledger' })
    .find(({ group }) => group.startsWith('small'));
  const get = (metric: string, contender = 'ledger'): number =>
    m.get('record', { group: own?.group ?? '', contender, metric }) ?? Number.NaN;
  const ratio = get('record() mean') / get('record() mean', 'OpenTelemetry');
  return [
    atMost('record() mean', [1000, 'ns'], get('record() mean')),
    atMost('record() against the OpenTelemetry processor', [0.5, 'x'], ratio),
    atMost(
      'RSS of 1,000,000 waiting against their bytes',
      [1.5, 'x'],
      get('RSS grown') / get('encoded'),
    ),
    atMost('GC while 1,000,000 were recorded', [200, 'ms'], get('GC in all')),
    atMost('longest GC pause', [10, 'ms'], get('longest GC pause')),
    atMost(
      'RSS kept after the drain, of what was held',
      [0.25, 'x'],
      get('RSS kept after the drain') / get('RSS grown'),
    ),
  ];
};

const loopRules: Rule = (m) => {
  const over = (group: string, setting: number): number => {
    const p99 = (contender: string): number =>
      m.get('loop', { group, setting, contender, metric: 'delay p99' }) ?? Number.NaN;
    return p99('ledger') - p99('idle process');
  };
  const trickle = m.get('loop', { group: 'a trickle of 5 entries/s', contender: 'ledger' });
  return [
    atMost(
      'loop delay p99 over the floor, 50,000 entries/s, batch 2,000',
      [3, 'ms'],
      over('50,000 entries/s', 2000),
    ),
    atMost(
      'loop delay p99 over the floor, full speed, batch 10,000',
      [6, 'ms'],
      over('full speed', 10_000),
    ),
    atMost('CPU of a trickle, 5 entries/s', [1, '% of a core'], trickle),
  ];
};

/** Additional cost that the journal may have. */
const JOURNAL_CPU = 1.02;

const httpRules: Rule = (m) => {
  const ratio = (group: string, metric: string, [over, under]: [string, string]): number =>
    (m.get('http', { group, metric, contender: over }) ?? Number.NaN) /
    (m.get('http', { group, metric, contender: under }) ?? Number.NaN);
  const full = 'as fast as it answers';
  const half = 'half the top rate';
  const on: [string, string] = ['ledger on', 'ledger off'];
  const recorded = 'ledger on, recorded by the handler';
  const noise = ratio(half, 'p99', ['ledger off, again', 'ledger off']);
  return [
    atMost(
      'CPU of the gateway per request, on against off',
      // 1.08 for the ledger, and 1.02 for its journal, which the gateway has.
      [1.08 * JOURNAL_CPU, 'x'],
      ratio(half, 'CPU of the gateway', on),
    ),
    atMost(
      'CPU per request, with the journal against without, recorded by the handler',
      [JOURNAL_CPU, 'x'],
      ratio(half, 'CPU of the gateway', ['the same with a journal', recorded]),
    ),
    atMost(
      'p99 at half the top rate, on against off',
      [1.1 * Math.max(1, noise), 'x'],
      ratio(half, 'p99', on),
    ),
    atLeast('requests/s at the top rate, on against off', 0.93, ratio(full, 'requests', on)),
  ];
};

const lagRules: Rule = (m) =>
  m.all('profiles', { metric: 'lag p99' }).map((figure) => {
    const { group, setting, contender } = figure;
    const metric = 'bound: flushMs + two flushes';
    const bound = m.get('profiles', { group, setting, contender, metric });
    const name = `lag p99, ${setting}`;
    return bound === undefined ? undefined : atMost(name, [bound, 'ms'], median(figure.values));
  });

const waitRules: Rule = (m) => {
  const ratio = (setting: number, metric: string): number =>
    (m.get('wait', { setting, metric, contender: 'recordAndWait' }) ?? Number.NaN) /
    (m.get('wait', { setting, metric, contender: 'awaited INSERT, pool of 10' }) ?? Number.NaN);
  return [
    atLeast('recordAndWait at 100 callers', 6, ratio(100, 'entries')),
    atLeast('recordAndWait at 1,000 callers', 12, ratio(1000, 'entries')),
    atMost('wait of a single caller, p50', [1.3, 'x'], ratio(1, 'wait p50')),
  ];
};

const besideRules: Rule = (m) => {
  const lag = (contender: string): number =>
    m.get('beside', { contender, metric: 'lag p99' }) ?? Number.NaN;
  const ratio = lag('400 reads at once') / lag('no reads');
  // A batch behind the reads in line would arrive half a second later: 4 x.
  return [atMost('lag p99 beside 400 reads, against none', [1.5, 'x'], ratio)];
};

const otherRules: Rule = (m) => {
  const grown = m.lowest(
    'growth',
    ['ledger', 'server alone'],
    ({ setting }) => setting === 10_000_000,
  );
  const far = m.all('distance', { group: 'batch 5,000', setting: 10 }).map((figure) => {
    const near = m.get('distance', {
      group: figure.group,
      contender: figure.contender,
      setting: 0,
    });
    return median(figure.values) / (near ?? Number.NaN);
  });
  const profiles = m.lowest('profiles', ['ledger', 'bare loop'], () => true);
  return [
    atLeast(
      `profiles at full speed against the bare loop (${profiles?.where})`,
      0.9,
      profiles?.ratio,
    ),
    atLeast('10 million rows in the table, against the server alone', 0.9, grown?.ratio),
    far.length > 0
      ? atLeast('10 ms away, batch 5,000, against loopback', 0.8, Math.max(...far))
      : undefined,
  ];
};

const processesRules: Rule = (m) =>
  m.all('processes', { setting: '5 processes', metric: 'rows' }).flatMap(({ group }) => {
    const rows = (setting: string): number => m.get('processes', { group, setting }) ?? Number.NaN;
    const five = rows('5 processes');
    const wide = rows('1 process, 10 workers');
    return [
      atLeast(`five processes against one, ${group}`, 0.9, five, rows('1 process')),
      atLeast(`five processes against one of as many connections, ${group}`, 0.9, five, wide),
    ];
  });

const RULES: readonly Rule[] = [
  throughputRules,
  recordRules,
  loopRules,
  httpRules,
  lagRules,
  waitRules,
  besideRules,
  otherRules,
  processesRules,
  largeTableRules,
  journalRules,
  streamRules,
  ...autoRules,
];
