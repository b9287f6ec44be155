import assert from 'node:assert/strict';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { SinkTest } from './sink-conformance.js';
import { AGAIN, ATTEMPT, SHORT_MS, someEntries, written } from './sink-trial.js';
import type { Entry, SinkTrial } from './sink-trial.js';

/** Rows that come again: once in the store, and each answer says what was there. @internal */
export const EXACTLY_ONCE: Readonly<Record<string, SinkTest>> = {
  'writes a batch that may exist and does not': async (trial) => {
    const entries = someEntries(3);
    assert.deepEqual(await trial.write(entries, AGAIN), written(3));
    await trial.expectStored(entries);
  },

  'finds all rows of a batch that was committed without an answer': async (trial) => {
    const entries = someEntries(3);
    await trial.write(entries);
    const result = await trial.write(entries, AGAIN);
    assert.deepEqual(result, { written: 0, duplicates: [0, 1, 2], conflicts: [] });
  },

  'tells new rows, duplicates and conflicts of one batch apart': async (trial) => {
    const [old, taken, ...fresh] = someEntries(5) as [Entry, Entry, ...Entry[]];
    await trial.write([old, taken]);
    const mixed = [fresh[0]!, old, fresh[1]!, other(taken), fresh[2]!];
    for (const expected of [
      { written: 3, duplicates: [1], conflicts: [3] },
      { written: 0, duplicates: [0, 1, 2, 4], conflicts: [3] },
    ]) {
      assert.deepEqual(await trial.write(mixed, AGAIN), expected);
    }
    await trial.expectStored([old, taken, ...fresh]);
  },

  'does the same for rows that nobody expected to exist': async (trial) => {
    const [old, taken, fresh] = someEntries(3) as [Entry, Entry, Entry];
    await trial.write([old, taken]);
    const result = await trial.write([other(taken), fresh, old]);
    assert.deepEqual(result, { written: 1, duplicates: [2], conflicts: [0] });
    await trial.expectStored([old, taken, fresh]);
  },

  'writes the first of equal uuids within a batch': async (trial) => {
    const [one, two] = someEntries(2) as [Entry, Entry];
    const batch = [one, one, two, other(one), two];
    const first = { written: 2, duplicates: [1, 4], conflicts: [3] };
    const second = { written: 0, duplicates: [0, 1, 2, 4], conflicts: [3] };
    assert.deepEqual(await trial.write(batch, ATTEMPT), first);
    assert.deepEqual(await trial.write(batch, AGAIN), second);
    await trial.expectStored([one, two]);
  },

  'finds the rows that are in the store, whatever their content': async (trial) => {
    const [old, fresh, taken] = someEntries(3) as [Entry, Entry, Entry];
    await trial.write([old, taken]);
    const batch = trial.batch([old, fresh, other(taken), old]);
    assert.deepEqual(await trial.sink.find(batch, SHORT_MS * 5), [0, 2, 3]);
    assert.deepEqual(await trial.sink.find(trial.batch([fresh]), SHORT_MS * 5), []);
  },

  'finds the rows that are in the store with equal content, if asked so': async (trial) => {
    const [old, fresh, taken] = someEntries(3) as [Entry, Entry, Entry];
    await trial.write([old, taken]);
    const batch = trial.batch([old, fresh, other(taken), old]);
    assert.deepEqual(await trial.sink.find(batch, SHORT_MS * 5, true), [0, 3]);
  },

  'writes a uuid once when two batches with it run side by side': async (trial) => {
    const entries = someEntries(40);
    const results = await Promise.all([
      trial.write(entries, AGAIN).catch(retried(trial, entries)),
      trial.write([...entries].reverse(), AGAIN).catch(retried(trial, entries)),
    ]);
    assert.equal(results[0].written + results[1].written, 40);
    assert.deepEqual(results[0].conflicts, []);
    assert.deepEqual(results[1].conflicts, []);
    await trial.expectStored(entries);
  },
};

/** An entry that takes the uuid of another. */
function other([uuid]: Entry): Entry {
  return [uuid, 'other content'];
}

/** Rows of two batches in opposite order may wait for each other; the server then ends one. */
function retried(trial: SinkTrial, entries: readonly Entry[]) {
  return (error: unknown): Promise<WriteResult> => {
    assert.ok(isLedgerError(error, 'SINK_TRANSIENT'), String(error));
    return trial.write(entries, AGAIN);
  };
}
