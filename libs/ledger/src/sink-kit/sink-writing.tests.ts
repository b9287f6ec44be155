import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { SinkTest } from './sink-conformance.js';
import { ATTEMPT, SHORT_MS, someEntries, written, type Entry } from './sink-trial.js';

/** New rows, at either level. @internal */
export const WRITING: Readonly<Record<string, SinkTest>> = {
  'writes every row of a batch': async (trial) => {
    const entries = someEntries(3);
    assert.deepEqual(await trial.write(entries), written(3));
    await trial.expectStored(entries);
  },

  'writes a batch of one row, and one whose rows lie in many slices': async (trial) => {
    const one = someEntries(1);
    const many = someEntries(50);
    assert.deepEqual(await trial.write(one), written(1));
    assert.deepEqual(await trial.write(many, ATTEMPT, 7), written(50));
    await trial.expectStored([...one, ...many]);
  },

  'keeps any text as it is': async (trial) => {
    const texts = [
      '',
      ' ',
      '😀 "quoted" \\ back\tslash\n',
      'é'.repeat(4000),
      "'; DROP TABLE x; --",
    ];
    const entries = texts.map((text): Entry => [randomUUID(), text]);
    await trial.write(entries);
    await trial.expectStored(entries);
  },

  'writes a batch of several MiB': async (trial) => {
    const entries = someEntries(600).map(([uuid], index): Entry => {
      return [uuid, `${index} ${'x'.repeat(7900)}`];
    });
    assert.deepEqual(await trial.write(entries, ATTEMPT, 100), written(600));
    await trial.expectStored(entries);
  },

  'writes batches side by side': async (trial) => {
    const batches = Array.from({ length: 4 }, () => someEntries(20));
    const results = await Promise.all(batches.map((entries) => trial.write(entries)));
    assert.deepEqual(results, [written(20), written(20), written(20), written(20)]);
    await trial.expectStored(batches.flat());
  },

  'writes an awaited batch like any other': async (trial) => {
    const entries = someEntries(2);
    assert.deepEqual(await trial.write(entries, { ...ATTEMPT, isAwaited: true }), written(2));
    await trial.expectStored(entries);
  },

  'answers a ping, and prepares more than once': async ({ sink }) => {
    await sink.prepare();
    await sink.ping(SHORT_MS * 5);
  },
};
