import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import type { SinkTest } from './sink-conformance.js';
import { AGAIN, ATTEMPT, failure, SHORT_MS, someEntries, written } from './sink-trial.js';

/** An attempt that runs longer has no end; less would judge the machine that the suite runs on. */
const ENDLESS_MS = 10_000;

/** A server that takes no batch, and a sink that is closed. @internal */
export const FAILING: Readonly<Record<string, SinkTest>> = {
  'ends an attempt in time when nothing gets through, and goes on afterwards': async (trial) => {
    const entries = someEntries(3);
    const unblock = await trial.subject.block();
    const begin = performance.now();
    const attempt = failure(trial.write(entries, { ...ATTEMPT, timeoutMs: SHORT_MS }));
    const error = await attempt.finally(unblock);
    const ms = performance.now() - begin;
    assert.ok(isLedgerError(error, 'SINK_TRANSIENT'), String(error));
    assert.ok(ms < ENDLESS_MS, `took ${ms} ms`);
    const { outcomeKnown }: SinkTransientError = error;
    await trial.write(entries, { ...ATTEMPT, mayExist: !outcomeKnown });
    await trial.expectStored(entries);
  },

  'closes more than once, and rejects afterwards or writes all the same': async (trial) => {
    const before = someEntries(1);
    const after = someEntries(2);
    await trial.write(before);
    await trial.sink.close();
    await trial.sink.close();
    const outcome = await trial.write(after).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    if ('result' in outcome) {
      assert.deepEqual(outcome.result, written(2));
      return trial.expectStored([...before, ...after]);
    }
    const { error } = outcome;
    assert.ok(isSinkError(error), String(error));
    const isUnknown = isLedgerError(error, 'SINK_TRANSIENT') && !error.outcomeKnown;
    if (!isUnknown) await trial.expectStored(before);
  },
};

/** A server that refuses a row. @internal */
export const REFUSING: Readonly<Record<string, SinkTest>> = {
  'writes nothing of a batch with a row that is refused, and may name it': async (trial) => {
    await trial.refuse('poison');
    const entries = someEntries(5);
    entries[3] = [entries[3]![0], 'poison'];
    for (const attempt of [ATTEMPT, AGAIN]) {
      const error = await failure(trial.write(entries, attempt));
      assert.ok(isLedgerError(error, 'SINK_ROW'), String(error));
      const { rowNumber, sqlState }: SinkRowError = error;
      assert.ok(rowNumber === undefined || rowNumber === 4, `row ${rowNumber}`);
      assert.match(sqlState ?? 'none', /^\w+$/);
    }
    await trial.expectStored([]);
    entries.splice(3, 1);
    assert.deepEqual(await trial.write(entries), written(4));
    await trial.expectStored(entries);
  },

  'keeps users’ text out of the errors': async (trial) => {
    await trial.refuse('a secret of mine');
    const error = await failure(trial.write([[randomUUID(), 'a secret of mine']]));
    assert.ok(isLedgerError(error, 'SINK_ROW'));
    assert.doesNotMatch(textOf(error), /secret of mine/);
  },
};

function isSinkError(error: unknown): boolean {
  return (
    isLedgerError(error, 'SINK_TRANSIENT') ||
    isLedgerError(error, 'SINK_ROW') ||
    isLedgerError(error, 'SINK_HALT')
  );
}

/** Everything that a logger could print of an error and its causes. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((name) => {
    return `${name}: ${String((error as unknown as Record<string, unknown>)[name])}`;
  });
  return [...own, textOf(error.cause ?? '')].join('\n');
}
