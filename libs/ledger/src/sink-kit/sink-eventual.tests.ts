import assert from 'node:assert/strict';
import type { SinkTest } from './sink-conformance.js';
import { AGAIN, SHORT_MS, someEntries } from './sink-trial.js';
import type { Entry } from './sink-trial.js';

/** Rows that come again: no uuid is lost, however often the store keeps it. @internal */
export const EVENTUAL: Readonly<Record<string, SinkTest>> = {
  'takes a batch again whose outcome is unknown': async (trial) => {
    const entries = someEntries(3);
    await trial.write(entries);
    await trial.write(entries, AGAIN);
    await trial.expectStored(entries);
  },

  'loses no row of a batch that is there in part': async (trial) => {
    const entries = someEntries(6);
    await trial.write(entries.slice(2, 4));
    await trial.write(entries, AGAIN);
    await trial.expectStored(entries);
  },

  'loses no row beside one whose uuid is taken by other content': async (trial) => {
    const [taken, ...fresh] = someEntries(4) as [Entry, ...Entry[]];
    await trial.write([taken]);
    await trial.write([fresh[0]!, [taken[0], 'other content'], ...fresh.slice(1)]);
    await trial.expectUuids([taken, ...fresh].map(([uuid]) => uuid));
    const kept = (await trial.subject.stored()).get(taken[0]);
    assert.ok(kept === taken[1] || kept === 'other content', 'readers keep one of the two');
  },

  'loses no row of two batches with the same rows that run side by side': async (trial) => {
    const entries = someEntries(40);
    await Promise.all([trial.write(entries, AGAIN), trial.write([...entries].reverse(), AGAIN)]);
    await trial.expectStored(entries);
  },

  'finds no row that is not there': async (trial) => {
    const [old, fresh, taken] = someEntries(3) as [Entry, Entry, Entry];
    await trial.write([old, taken]);
    await trial.expectStored([old, taken]);
    const batch = trial.batch([old, fresh, [taken[0], 'other content']]);
    const found = await trial.sink.find(batch, SHORT_MS * 5);
    assert.ok(!found.includes(1), `found ${found.join(', ')}`);
    const same = await trial.sink.find(batch, SHORT_MS * 5, true);
    assert.ok(
      same.length === 0 || (same.length === 1 && same[0] === 0),
      `found ${same.join(', ')}`,
    );
  },
};
