import { describe, expect, it } from 'vitest';
import type { JournalStats } from '../ports/ledger-stats.interface.js';
import { adviseLedger } from './advise-ledger.js';
import type { Finding } from './finding.interface.js';
import { IDLE_JOURNAL, QUIET, samplesOf } from './fixtures/load.fixture.js';
import type { StatsSample } from './stats-window.js';

const MEBIBYTE = 1_048_576;

interface Growth {
  readonly fromMiB: number;
  readonly toMiB: number;
  readonly keepMs?: number;
  readonly maxMiB?: number;
  readonly more?: Partial<JournalStats>;
}

/** A quiet minute in which the journal goes from one size to another. */
function advise({ fromMiB, toMiB, keepMs = 0, maxMiB = 4096, more }: Growth): Finding[] {
  const samples = samplesOf(QUIET);
  const grown = samples.map(({ at, stats }, index) => {
    const share = index / (samples.length - 1);
    const bytes = (fromMiB + (toMiB - fromMiB) * share) * MEBIBYTE;
    const settings = {
      ...stats.settings,
      journalMaxBytes: { value: maxMiB * MEBIBYTE, source: 'code' as const },
      journalKeepMs: { value: keepMs, source: 'code' as const },
    };
    return { at, stats: { ...stats, settings, journal: { ...IDLE_JOURNAL, bytes, ...more } } };
  });
  return adviseLedger(grown);
}

describe('advice about the journal', () => {
  it.each<[string, Growth]>([
    ['has only the files at work', { fromMiB: 0, toMiB: 48 }],
    ['keeps its size', { fromMiB: 3000, toMiB: 3000 }],
    ['is emptied', { fromMiB: 3000, toMiB: 100 }],
    ['is full in more than an hour', { fromMiB: 90, toMiB: 100 }],
    ['keeps files on purpose', { fromMiB: 100, toMiB: 400, keepMs: 600_000 }],
  ])('is none while it %s', (_, growth) => {
    expect(advise(growth)).toEqual([]);
  });

  it('says when it will be full', () => {
    expect(advise({ fromMiB: 196, toMiB: 496 })).toMatchObject([
      {
        rule: 'journal-filling',
        constraint: 'disk',
        severity: 'warning',
        summary: 'the journal has 496 MiB and is full in 12 min',
        change: null,
      },
    ]);
  });

  it('says so where nothing is left', () => {
    const [finding] = advise({ fromMiB: 70, toMiB: 130, maxMiB: 128 });
    expect(finding?.summary).toMatch(/full in less than a minute$/);
  });

  it('says that files are damaged, and nothing about one that a kill cut off', () => {
    expect(advise({ fromMiB: 1, toMiB: 1, more: { torn: 3 } })).toEqual([]);
    expect(advise({ fromMiB: 1, toMiB: 1, more: { torn: 1, damaged: 2 } })).toMatchObject([
      {
        rule: 'journal-damaged',
        severity: 'warning',
        summary: 'the journal of earlier runs had 2 damaged files',
        evidence: [{ value: 2 }, { value: 1 }],
      },
    ]);
  });

  it('names a disk that blocks the event loop', () => {
    const more = { state: 'asynchronous', lastWriteMs: 31.456, unsyncedRows: 12 } as const;
    expect(advise({ fromMiB: 1, toMiB: 1, more })).toMatchObject([
      {
        rule: 'journal-slow',
        severity: 'notice',
        summary: expect.stringContaining('in the thread pool for a minute') as string,
        evidence: [
          { name: 'writes above 20 ms', value: 0 },
          { name: 'last write', value: 31.46 },
          { name: 'not on file', value: 12 },
        ],
      },
    ]);
  });

  it.each([
    ['entry', 'record() waits for each', "journalSync 'turn'"],
    ['turn', 'run in the thread pool for a minute', 'its own disk'],
  ])('names one that did so in the window, with journalSync %s', (sync, summary, remedy) => {
    const [first, ...others] = samplesOf(QUIET);
    const at = ({ at, stats }: StatsSample, slowWrites: number): StatsSample => {
      const settings = { ...stats.settings, journalSync: { value: sync, source: 'code' as const } };
      return { at, stats: { ...stats, settings, journal: { ...IDLE_JOURNAL, slowWrites } } };
    };
    const slow = [at(first!, 4), ...others.map((sample) => at(sample, 7))];
    expect(adviseLedger(slow)).toMatchObject([
      {
        rule: 'journal-slow',
        summary: expect.stringContaining(summary) as string,
        remedy: expect.stringContaining(remedy) as string,
        evidence: [{ name: 'writes above 20 ms', value: 3 }, {}, {}],
      },
    ]);
    // Those of the time before the window are over.
    expect(adviseLedger(slow.slice(1))).toEqual([]);
  });
});
