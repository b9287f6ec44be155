import { RETRY_CLASSES } from '../stats/retry-class.js';
import type { LedgerState, LedgerStats } from '../ports/ledger-stats.interface.js';
import type { LedgerMetric, Reading } from './ledger-metric.interface.js';
import { STREAM_METRICS } from './stream-metrics.js';
import type { FlushListener } from '../writer/batch-writer.js';

/** Source of metrics; implemented by every `LedgerService`. @publicApi */
export interface MeteredLedger {
  /** Default value of the label `ledger`. */
  readonly name: string;
  /** Read at each scrape. */
  stats(): LedgerStats;
  /** @returns a function that removes the listener */
  onFlush(listener: FlushListener): () => void;
}

const STATES: readonly LedgerState[] = ['starting', 'running', 'halted', 'draining', 'sealed'];

/** All metrics that are read at a scrape, in the order of an entry's path. @internal */
export const LEDGER_METRICS: readonly LedgerMetric[] = Object.freeze([
  {
    name: 'ledger_entries_total',
    instrument: 'ledger.entries',
    unit: '{entry}',
    kind: 'counter',
    aggregator: 'sum',
    help:
      'Entries by outcome: offered = queued + dropped + sealed + invalid + callers waiting, ' +
      'queued + recovered + received = ' +
      'written + published + duplicate + dead_lettered + spilled + depth + in flight',
    label: 'outcome',
    read: readOutcomes,
  },
  {
    name: 'ledger_unknown_fields_total',
    instrument: 'ledger.unknown_fields',
    unit: '{field}',
    kind: 'counter',
    aggregator: 'sum',
    help: 'Properties of entries that are not fields of the ledger, and were left out',
    read: ({ unknownFields }) => [[unknownFields]],
  },
  {
    name: 'ledger_not_stored_total',
    instrument: 'ledger.not_stored',
    unit: '{entry}',
    kind: 'counter',
    aggregator: 'sum',
    help:
      'Written entries that the server accepted and did not report as stored, because a ' +
      'trigger, a rule or a policy removed them or put them elsewhere',
    read: ({ notStored }) => [[notStored]],
  },
  {
    name: 'ledger_renewed_uuids_total',
    instrument: 'ledger.renewed_uuids',
    unit: '{entry}',
    kind: 'counter',
    aggregator: 'sum',
    help: 'Entries that got another uuid, because another program had written a row under theirs',
    read: ({ renewedUuids }) => [[renewedUuids]],
  },
  gauge('waiting_callers', 'waiting_callers', '{caller}', {
    help: 'Callers that wait for room in the channel',
    of: ({ waiting }) => waiting,
  }),
  gauge('channel_depth', 'channel.depth', '{entry}', {
    help: 'Entries in the channel',
    of: ({ depth }) => depth,
  }),
  gauge('channel_capacity', 'channel.capacity', '{entry}', {
    help: 'Maximum number of entries in the channel',
    of: ({ capacity }) => capacity,
  }),
  gauge('channel_bytes', 'channel.bytes', 'By', {
    help: 'Encoded bytes of all entries in the channel and in flight',
    of: ({ bytes }) => bytes,
  }),
  gauge('saturation_ratio', 'saturation', '1', {
    aggregator: 'max',
    help:
      'Saturation of the channel by entries or by bytes, the higher of the two: 0 to 1; ' +
      'of several processes: the highest',
    of: ({ saturation }) => saturation,
  }),
  gauge('in_flight_entries', 'in_flight_entries', '{entry}', {
    help: 'Entries taken by a worker and not yet settled',
    of: ({ inFlight }) => inFlight,
  }),
  gauge('oldest_entry_age_seconds', 'oldest_entry_age', 's', {
    aggregator: 'max',
    help: 'Age of the oldest unsettled entry, 0 if there is none',
    of: ({ oldestEntryAgeMs }) => oldestEntryAgeMs / 1000,
  }),
  {
    name: 'ledger_batches_total',
    instrument: 'ledger.batches',
    unit: '{batch}',
    kind: 'counter',
    aggregator: 'sum',
    help: 'Batches that workers took, by the reason why they were due',
    label: 'due',
    read: ({ batches: { full, old, awaited, draining, recovered } }) => [
      [full, 'full'],
      [old, 'old'],
      [awaited, 'awaited'],
      [draining, 'draining'],
      [recovered, 'recovered'],
    ],
  },
  gauge('journal_bytes', 'journal.bytes', 'By', {
    help: 'Bytes of the journal files of this run, 0 without a journal',
    of: ({ journal }) => journal?.bytes ?? 0,
  }),
  gauge('journal_earlier_bytes', 'journal.earlier_bytes', 'By', {
    help: 'Bytes that earlier runs left in journal files, and that are not written yet',
    of: ({ journal }) => journal?.earlierBytes ?? 0,
  }),
  gauge('journal_unsynced_entries', 'journal.unsynced_entries', '{entry}', {
    help: 'Accepted entries that are not durable yet, as journalSync defines it',
    of: ({ journal }) => journal?.unsyncedRows ?? 0,
  }),
  gauge('journal_degraded', 'journal.degraded', '{journal}', {
    aggregator: 'max',
    help: "1 while the journal can't be written and entries are in memory only",
    of: ({ journal }) => (journal?.state === 'degraded' ? 1 : 0),
  }),
  gauge('journal_torn_files', 'journal.torn_files', '{file}', {
    help: 'Files of earlier runs whose last frame is incomplete, as after a kill',
    of: ({ journal }) => journal?.torn ?? 0,
  }),
  gauge('journal_damaged_files', 'journal.damaged_files', '{file}', {
    help: "Files of earlier runs that are damaged or can't be read",
    of: ({ journal }) => journal?.damaged ?? 0,
  }),
  ...STREAM_METRICS,
  {
    name: 'ledger_workers',
    instrument: 'ledger.workers',
    unit: '{worker}',
    kind: 'gauge',
    aggregator: 'sum',
    help: 'Workers by state: busy with a batch in flight, or idle',
    label: 'state',
    read: ({ workers: { total, busy } }) => [
      [busy, 'busy'],
      [Math.max(0, total - busy), 'idle'],
    ],
  },
  {
    name: 'ledger_auto_delay_seconds',
    instrument: 'ledger.auto.delay',
    unit: 's',
    kind: 'gauge',
    aggregator: 'max',
    help: 'Delay that auto has chosen, the longest wait of an entry for its batch; absent without auto',
    read: ({ auto }) => (auto === null ? [] : [[auto.delayMs / 1000]]),
  },
  {
    name: 'ledger_retries_total',
    instrument: 'ledger.retries',
    unit: '{attempt}',
    kind: 'counter',
    aggregator: 'sum',
    help: 'Repeated attempts at a batch, by the kind of failure',
    label: 'class',
    read: ({ retriesByClass }) => RETRY_CLASSES.map((each) => [retriesByClass[each], each]),
  },
  {
    name: 'ledger_state',
    instrument: 'ledger.state',
    unit: '{ledger}',
    kind: 'gauge',
    // A sum would be 4 for four processes, and a rule that compares with 1 would miss it.
    aggregator: 'max',
    help:
      'State of the ledger: 1 for the current state, 0 for the others; ' +
      'of several processes: 1 for each state that occurs',
    label: 'state',
    read: ({ state }) => STATES.map((each) => [Number(each === state), each]),
  },
] satisfies LedgerMetric[]);

function readOutcomes(stats: LedgerStats): Reading[] {
  return [
    [stats.offered, 'offered'],
    [stats.queued, 'queued'],
    [stats.recovered, 'recovered'],
    [stats.received, 'received'],
    [stats.dropped, 'dropped'],
    [stats.sealed, 'sealed'],
    [stats.invalid, 'invalid'],
    [stats.written, 'written'],
    [stats.published, 'published'],
    [stats.duplicate, 'duplicate'],
    [stats.deadLettered, 'dead_lettered'],
    [stats.spilled, 'spilled'],
  ];
}

interface DescribedGauge {
  /** Default: `sum`. */
  readonly aggregator?: LedgerMetric['aggregator'];
  readonly help: string;
  readonly of: (stats: LedgerStats) => number;
}

function gauge(
  name: string,
  instrument: string,
  unit: string,
  { aggregator = 'sum', help, of }: DescribedGauge,
): LedgerMetric {
  const names = { name: `ledger_${name}`, instrument: `ledger.${instrument}` };
  return { ...names, unit, kind: 'gauge', aggregator, help, read: (stats) => [[of(stats)]] };
}
