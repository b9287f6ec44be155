import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import { InMemorySink } from '../testing/in-memory.sink.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { CheckedSink } from './checked-sink.js';

const encode = createRowEncoder(PLAIN_TABLE);
const BATCH = rowBatch([1, 2, 3].map((userId) => encode({ userId })));
const ATTEMPT = { timeoutMs: 1000, isAwaited: false, mayExist: false };
const NONE: readonly number[] = [];

/** A checked sink with one method that returns this answer. */
function sinkThat(method: 'write' | 'find', answer: unknown): CheckedSink {
  const sink: LedgerSink = new InMemorySink();
  Object.assign(sink, { [method]: async () => answer });
  return new CheckedSink(sink, { log: () => {}, warn: () => {}, error: () => {} });
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown,
  );
}

describe('CheckedSink', () => {
  it.each([
    { written: 3, duplicates: NONE, conflicts: NONE },
    { written: 1, duplicates: [0], conflicts: [2] },
    { written: 0, duplicates: [0, 1, 2], conflicts: NONE },
  ])('passes on an answer that accounts for each row: %j', async (result) => {
    expect(await sinkThat('write', result).write(BATCH, ATTEMPT)).toBe(result);
  });

  it.each([
    undefined,
    null,
    'ok',
    {},
    { written: 3 },
    { written: 3, duplicates: NONE },
    { written: 2, duplicates: NONE, conflicts: NONE },
    { written: 3, duplicates: [0], conflicts: NONE },
    { written: 1, duplicates: [0], conflicts: [0] },
    { written: 1, duplicates: [1, 0], conflicts: NONE },
    { written: 2, duplicates: [3], conflicts: NONE },
    { written: 2, duplicates: [-1], conflicts: NONE },
    { written: 2, duplicates: ['0'], conflicts: NONE },
    { written: Number.NaN, duplicates: NONE, conflicts: NONE },
  ])('takes the outcome for unknown if it does not: %j', async (result) => {
    expect(await failureOf(sinkThat('write', result).write(BATCH, ATTEMPT))).toBe(false);
  });

  it('also checks the found rows', async () => {
    expect(await sinkThat('find', [0, 2]).find(BATCH, 1000)).toEqual([0, 2]);
    for (const answer of [undefined, [3], [2, 0], [0, 0]]) {
      expect(await failureOf(sinkThat('find', answer).find(BATCH, 1000))).toBe(false);
    }
  });

  it('reports a sink that cannot be closed, and continues', async () => {
    const lines: string[] = [];
    const sink = new InMemorySink();
    sink.close = async () => Promise.reject(new TypeError('a secret'));
    const warn = (line: string): void => void lines.push(line);
    await new CheckedSink(sink, { log: warn, warn, error: warn }).close();
    expect(lines).toEqual(['WARNING: the sink could not be closed (TypeError)']);
  });
});
