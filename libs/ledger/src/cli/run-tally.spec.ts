import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRowTarget } from '../codec/row-target.js';
import { formatUuid, newEntryUuid, writeUuidV7 } from '../codec/uuid.js';
import { RunTally } from './run-tally.js';
import { SequenceSet } from './sequence-set.js';

const AT = Date.UTC(2026, 0, 1);

function uuidOf(run: number, sequence: number, ms = AT + sequence): string {
  const target = createRowTarget(16);
  writeUuidV7(target, 0, ms, { run, sequence });
  target.bytes[8] = (target.bytes[8]! & 0x3f) | 0x80;
  return formatUuid(target.bytes, 0);
}

function tallyOf(run: number, sequences: readonly number[], isPeriod = false): RunTally {
  const tally = new RunTally(isPeriod);
  for (const sequence of sequences) tally.add(uuidOf(run, sequence), 'table', false);
  return tally;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('SequenceSet', () => {
  it('knows its members and the gaps between them, however far apart they are', () => {
    const members = fc.uniqueArray(
      fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 500_000 })),
      { minLength: 1, maxLength: 200 },
    );
    fc.assert(
      fc.property(members, (sequences) => {
        const set = new SequenceSet();
        for (const sequence of sequences) expect(set.add(sequence)).toBe(true);
        for (const sequence of sequences) expect(set.add(sequence)).toBe(false);
        const sorted = [...sequences].sort((a, b) => a - b);
        expect([set.size, set.min, set.max]).toEqual([sorted.length, sorted[0], sorted.at(-1)]);
        const gaps = sorted.flatMap((sequence, i) => {
          const from = i === 0 ? 0 : sorted[i - 1]! + 1;
          return from < sequence ? [{ from, to: sequence - 1 }] : [];
        });
        expect([...set.gaps(0, set.max)]).toEqual(gaps);
        expect(set.highestBelow(set.max)).toBe(sorted.at(-2) ?? -1);
      }),
    );
  });
});

describe('RunTally', () => {
  it('misses nothing of a run whose entries are in different places', () => {
    const tally = new RunTally(false);
    upTo(300).forEach((sequence) => {
      const place = (['table', 'deadLetters', 'spills'] as const)[sequence % 3]!;
      tally.add(uuidOf(7, sequence), place, false);
    });
    expect(tally.report()).toEqual([
      {
        run: '00000007',
        from: AT,
        to: AT + 299,
        queued: 300,
        table: 100,
        deadLetters: 100,
        spills: 100,
        stream: 0,
        missing: 0,
        missingRanges: [],
        undecided: 0,
      },
    ]);
  });

  it('names what is missing, from the very first entry on', () => {
    const tally = tallyOf(7, [2, 3, 5, ...upTo(200).map((i) => i + 10)]);
    expect(tally.report()).toMatchObject([
      {
        queued: 210,
        missing: 7,
        missingRanges: [
          { from: 0, to: 1 },
          { from: 4, to: 4 },
          { from: 6, to: 9 },
        ],
      },
    ]);
  });

  it('does not judge what lies beside young entries', () => {
    const tally = tallyOf(7, [0, 1, 3]);
    tally.add(uuidOf(7, 5), 'table', true);
    tally.add(uuidOf(7, 7), 'table', false);
    expect(tally.report()).toMatchObject([{ missing: 1, undecided: 2 }]);
  });

  it('begins a period where its first entry is, and fills holes from outside', () => {
    const tally = tallyOf(7, [1_000_000, 1_000_002, 1_000_004], true);
    expect(tally.report()).toMatchObject([{ missing: 2 }]);
    tally.addOutside(uuidOf(7, 1_000_003));
    tally.addOutside(uuidOf(7, 999_999));
    expect(tally.report()).toMatchObject([
      { table: 3, missing: 1, missingRanges: [{ from: 1_000_001, to: 1_000_001 }] },
    ]);
  });

  it('takes no foreign uuid for a run', () => {
    const tally = tallyOf(7, upTo(10));
    for (let i = 0; i < 20_000; i++) tally.add(foreignUuidV7(), 'table', false);
    for (let i = 0; i < 1000; i++) tally.add(newEntryUuid(), 'table', false);
    tally.add('01890a5d-ac96-474b-bcce-b302099a8057', 'table', false);
    expect(tally.report()).toMatchObject([{ run: '00000007', queued: 10, missing: 0 }]);
    expect(tally.withoutRun).toBe(21_001);
  });
});

/** As other libraries make them: 74 random bits. */
function foreignUuidV7(): string {
  const random = crypto.randomUUID();
  return `01890a5d-ac96-7${random.slice(15)}`;
}
