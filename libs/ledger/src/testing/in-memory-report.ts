import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { CheckedReport } from '../reading/parse-report-query.js';
import type { ReportRow } from '../ports/report-query.interface.js';

type Entry = StoredEntry<LedgerTable>;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The start of a day in the report's zone; a Date is returned unchanged. */
export function startOf(moment: Date | string, { timeZone }: CheckedReport): Date {
  if (typeof moment !== 'string') return moment;
  const midnight = Date.parse(`${moment}T00:00:00Z`);
  // A zone changes its offset on whole minutes, so the day's first minute is its start.
  let [before, start] = [midnight - DAY_MS, midnight + DAY_MS];
  while (start - before > MINUTE_MS) {
    const middle = before + Math.floor((start - before) / 2 / MINUTE_MS) * MINUTE_MS;
    if (localTime(new Date(middle), timeZone).text.slice(0, 10) < moment) before = middle;
    else start = middle;
  }
  return new Date(start);
}

/** Rows of a report over entries that it has chosen, in the order of `groupBy`. */
export function reportRows(report: CheckedReport, entries: readonly Entry[]): ReportRow[] {
  const groups = new Map<string, { keys: (string | null)[]; entries: Entry[] }>();
  for (const entry of entries) {
    const keys = report.groupBy.map((field) => keyOf(field, entry, report.timeZone));
    const id = JSON.stringify(keys);
    const group = groups.get(id) ?? { keys, entries: [] };
    group.entries.push(entry);
    groups.set(id, group);
  }
  if (report.groupBy.length === 0 && groups.size === 0) groups.set('', { keys: [], entries: [] });
  const sorted = [...groups.values()].sort((a, b) => compareKeys(a.keys, b.keys));
  return sorted.map((group) => rowOf(report, group.keys, group.entries));
}

function keyOf(field: string, entry: Entry, timeZone: string): string | null {
  const { text, offset } = localTime(new Date(entry.createdAt), timeZone);
  if (field === 'hour') return `${text.slice(0, 13)}:00:00${offset}`;
  if (field === 'day') return text.slice(0, 10);
  if (field === 'month') return text.slice(0, 7);
  const value = (entry as Record<string, string | number | boolean | object | null>)[field];
  if (value === null || value === undefined) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Created once for each zone, because creating one takes longer than using it. */
const FORMATS = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = FORMATS.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  });
  FORMATS.set(timeZone, format);
  return format;
}

function localTime(moment: Date, timeZone: string): { text: string; offset: string } {
  const parts = formatOf(timeZone).formatToParts(moment);
  const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? '';
  const offset = of('timeZoneName').replace('GMT', '') || '+00:00';
  const day = `${of('year').padStart(4, '0')}-${of('month')}-${of('day')}`;
  return { text: `${day}T${of('hour')}:${of('minute')}`, offset };
}

/** Null last, like PostgreSQL. */
function compareKeys(a: readonly (string | null)[], b: readonly (string | null)[]): number {
  for (const [index, key] of a.entries()) {
    const other = b[index] ?? null;
    if (key === other) continue;
    if (key === null || other === null) return key === null ? 1 : -1;
    // Of two hours with the same local time, the first is further ahead of UTC.
    const isDouble = key.length === 25 && key.slice(0, 19) === other.slice(0, 19);
    return (isDouble ? Date.parse(key) < Date.parse(other) : key < other) ? -1 : 1;
  }
  return 0;
}

function rowOf(
  report: CheckedReport,
  keys: readonly (string | null)[],
  entries: readonly Entry[],
): ReportRow {
  const row: Record<string, string | number | null> = {};
  for (const [index, field] of report.groupBy.entries()) row[field] = keys[index] ?? null;
  const tokens = (direction: string): number =>
    entries
      .filter((entry) => entry.direction === direction)
      .reduce((sum, entry) => sum + entry.promptTokens + entry.completionTokens, 0);
  const [consumedTokens, suppliedTokens] = [tokens('consume'), tokens('supply')];
  const netTokens = suppliedTokens - consumedTokens;
  Object.assign(row, { consumedTokens, suppliedTokens, netTokens, entries: entries.length });
  for (const field of report.sum) row[field] = sumOf(entries, field);
  return row as ReportRow;
}

/** Exact, with as many decimals as the longest value. */
function sumOf(entries: readonly Entry[], field: string): string | null {
  const values = entries
    .map((entry) => (entry as Record<string, string | number | null | undefined>)[field] ?? null)
    .filter((value) => value !== null)
    .map((value) => String(value).split('.'));
  if (values.length === 0) return null;
  const decimals = Math.max(...values.map(([, fraction = '']) => fraction.length));
  const sum = values
    .map(([whole, fraction = '']) => BigInt(whole + fraction.padEnd(decimals, '0')))
    .reduce((total, value) => total + value, 0n);
  const digits = String(sum < 0n ? -sum : sum).padStart(decimals + 1, '0');
  const end = digits.length - decimals;
  const sign = sum < 0n ? '-' : '';
  return sign + digits.slice(0, end) + (decimals > 0 ? `.${digits.slice(end)}` : '');
}
