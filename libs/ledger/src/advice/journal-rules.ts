import { grouped } from '../config/setting-values.js';
import { JOURNAL_FULL_SOON_MS, JOURNAL_IN_USE_BYTES } from './advice-thresholds.js';
import type { Finding } from './finding.interface.js';
import type { Situation } from './situation.js';

const MEBIBYTE = 1_048_576;
const MINUTE_MS = 60_000;

/**
 * Files accumulate, because fewer entries are settled than arrive. At `journalMaxBytes` entries are
 * in memory only. Files kept by `journalKeepMs` do not count, because they are deleted when their
 * space is needed.
 *
 * @internal
 */
export function journalFilling({ window }: Situation): Finding | undefined {
  const { last, journalBytesPerSecond } = window;
  const maxBytes = last.settings['journalMaxBytes']?.value;
  const keepMs = last.settings['journalKeepMs']?.value ?? 0;
  if (last.journal === null || typeof maxBytes !== 'number' || keepMs !== 0) return undefined;
  const bytes = last.journal.bytes + last.journal.earlierBytes;
  if (bytes < JOURNAL_IN_USE_BYTES || journalBytesPerSecond <= 0) return undefined;
  const leftMs = (Math.max(0, maxBytes - bytes) / journalBytesPerSecond) * 1000;
  if (leftMs > JOURNAL_FULL_SOON_MS) return undefined;
  const minutes = Math.floor(leftMs / MINUTE_MS);
  return {
    rule: 'journal-filling',
    constraint: 'disk',
    severity: 'warning',
    summary:
      `the journal has ${grouped(Math.round(bytes / MEBIBYTE))} MiB and is full in ` +
      (minutes === 0 ? 'less than a minute' : `${minutes} min`),
    remedy:
      'speed up the database, or raise journalMaxBytes: once it is reached, entries are in memory only',
    evidence: [
      { name: 'journal', value: bytes, unit: 'bytes' },
      { name: 'growth', value: Math.round(journalBytesPerSecond), unit: 'bytes/s' },
      { name: 'journalMaxBytes', value: maxBytes, unit: 'bytes' },
    ],
    change: null,
  };
}

/** Files of earlier runs are damaged. Only a person can find out what is missing. @internal */
export function journalDamaged({ window }: Situation): Finding | undefined {
  const { damaged = 0, torn = 0 } = window.last.journal ?? {};
  if (damaged === 0) return undefined;
  return {
    rule: 'journal-damaged',
    constraint: 'disk',
    severity: 'warning',
    summary: `the journal of earlier runs had ${grouped(damaged)} damaged ${damaged === 1 ? 'file' : 'files'}`,
    remedy:
      'look at the disk, then run `npx nestjs-ledger journal verify` and `npx nestjs-ledger verify`: entries may be missing',
    evidence: [
      { name: 'damaged files', value: damaged, unit: '' },
      { name: 'files cut off by a kill', value: torn, unit: '' },
    ],
    change: null,
  };
}

/**
 * Writes blocked the event loop. They go to the thread pool for a minute, except with `journalSync:
 * 'entry'`, where `record()` waits for each.
 *
 * @internal
 */
export function journalSlow({ window }: Situation): Finding | undefined {
  const { last, slowWrites } = window;
  const { journal } = last;
  if (journal === null || (journal.state !== 'asynchronous' && slowWrites === 0)) return undefined;
  const waits = last.settings['journalSync']?.value === 'entry';
  return {
    rule: 'journal-slow',
    constraint: 'disk',
    severity: 'notice',
    summary:
      'the disk of the journal is slow: writes blocked the event loop and ' +
      (waits ? 'record() waits for each' : 'run in the thread pool for a minute'),
    remedy: waits
      ? "give journalDir its own disk, or set journalSync 'turn', which then writes outside the event loop"
      : 'give journalDir its own disk: entries are on file a moment later now',
    evidence: [
      { name: 'writes above 20 ms', value: slowWrites, unit: '' },
      { name: 'last write', value: Math.round(journal.lastWriteMs * 100) / 100, unit: 'ms' },
      { name: 'not on file', value: journal.unsyncedRows, unit: 'entries' },
    ],
    change: null,
  };
}
