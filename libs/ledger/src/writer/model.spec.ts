import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRowTarget } from '../codec/row-target.js';
import { formatUuid, writeUuidV7 } from '../codec/uuid.js';
import { LedgerService } from '../ledger.service.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import type { SinkFault } from '../testing/in-memory.sink.js';
import {
  assertConservation,
  ledgerUnderTest,
  PLAIN_TABLE,
  start,
  type LedgerUnderTest,
} from '../testing/ledger-under-test.js';

/** `npm run soak -- faults` runs more. */
const LIVES = process.env['LEDGER_SOAK'] ? 10_000 : 2_000;

/** One step of a ledger's random life. */
type Step =
  | { readonly do: 'record'; readonly entry: { readonly uuid?: string | undefined } }
  | { readonly do: 'wait'; readonly timeoutMs: number | undefined; readonly isAborted: boolean }
  | { readonly do: 'flush' }
  | { readonly do: 'fail'; readonly fault: SinkFault; readonly times: number }
  | { readonly do: 'away'; readonly isAway: boolean }
  | { readonly do: 'hold'; readonly isHolding: boolean }
  | { readonly do: 'land' }
  | { readonly do: 'refuse' }
  | { readonly do: 'shadow' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'drain' };

/** Few uuids, so that duplicates and conflicts occur. */
const UUIDS = [1, 2, 3].map((i) => `01890a5d-ac96-774b-bcce-b302099a800${i}`);

const entry = fc.record(
  {
    userId: fc.constantFrom<unknown>(1, 2, 0, undefined),
    uuid: fc.option(fc.constantFrom(...UUIDS), { nil: undefined, freq: 3 }),
  },
  { requiredKeys: ['userId'] },
);
const fault: fc.Arbitrary<SinkFault> = fc.oneof(
  fc.record({
    kind: fc.constant('transient' as const),
    rows: fc.constantFrom('none' as const, 'in' as const, 'late' as const),
  }),
  fc.record({ kind: fc.constant('row' as const) }),
  fc.record({ kind: fc.constant('halt' as const) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('record' as const), entry }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      timeoutMs: fc.option(fc.nat({ max: 300 }), { nil: undefined }),
      isAborted: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'flush' as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      fault,
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('away' as const), isAway: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('hold' as const), isHolding: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'land' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'refuse' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'shadow' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat({ max: 400 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'drain' as const }) },
);

const encodeRow = createRowEncoder(PLAIN_TABLE);

/** The callers' knowledge in one life. */
class Model {
  /** The number of answers to each caller who was promised one. */
  readonly answers: number[] = [];
  /** Entries queued with one of `UUIDS`; all others have unique uuids. */
  queuedWithChosenUuid = 0;
  /** Uuids under which another writer wrote a row. */
  readonly foreign = new Set<string>();

  record({ ledger }: LedgerUnderTest, given: { readonly uuid?: string | undefined }): void {
    const outcome = ledger.intake.offer(given);
    if (outcome === 'queued' && given.uuid !== undefined) this.queuedWithChosenUuid++;
  }

  /**
   * Another writer that knows the run writes a row under the uuid of its next entry, if that entry
   * comes at once.
   */
  shadow({ ledger, sink, clock }: LedgerUnderTest): void {
    const sequence = ledger.stats().queued - this.queuedWithChosenUuid;
    const target = createRowTarget(16);
    writeUuidV7(target, 0, clock.now(), { run: ledger.intake.run, sequence });
    const uuid = formatUuid(target.bytes, 0);
    if (sink.rows.has(uuid)) return;
    this.foreign.add(uuid);
    (sink.rows as Map<string, Buffer>).set(uuid, encodeRow({ uuid, userId: 666 }));
  }

  ask(promise: Promise<unknown>): void {
    const caller = this.answers.push(0) - 1;
    const answer = (): void => void this.answers[caller]!++;
    promise.then(answer, answer);
  }
}

async function apply(test: LedgerUnderTest, model: Model, step: Step): Promise<void> {
  const { sink, clock, ledger } = test;
  const service = new LedgerService(ledger, undefined as never);
  switch (step.do) {
    case 'record':
      model.record(test, step.entry);
      break;
    case 'wait': {
      const controller = new AbortController();
      const { signal } = controller;
      const { timeoutMs } = step;
      model.ask(ledger.awaited.record({ userId: 1 }, { timeoutMs, signal }));
      if (step.isAborted) controller.abort();
      break;
    }
    case 'flush':
      model.ask(service.flush());
      break;
    case 'fail':
      sink.failNext(step.fault, step.times);
      break;
    case 'away':
      sink.failAlways(step.isAway ? { kind: 'transient' } : undefined);
      break;
    case 'hold':
      sink.hold(step.isHolding);
      if (!step.isHolding) for (const held of [...sink.held]) held.release();
      break;
    case 'land':
      landLate(test);
      break;
    case 'refuse':
      sink.refuse(UUIDS[0]!);
      break;
    case 'shadow':
      model.shadow(test);
      break;
    case 'advance':
      await clock.advance(step.ms);
      break;
    case 'drain':
      model.ask(ledger.shutdown.drain());
      break;
  }
}

/**
 * Rows of an abandoned attempt are committed late. A row refused meanwhile is then both a dead
 * letter and in the table: only the server could prevent that.
 */
function landLate({ sink, letters }: LedgerUnderTest): void {
  const before = new Set(sink.rows.keys());
  sink.landLate();
  for (const uuid of sink.rows.keys()) {
    const letter = letters.findIndex((each) => each.uuid === uuid);
    if (!before.has(uuid) && letter >= 0) landedAfterRefusal.add(uuid);
  }
}

const landedAfterRefusal = new Set<string>();

/** Ends the life: the sink answers or not, and the drain reaches its deadline. */
async function end(test: LedgerUnderTest, model: Model): Promise<void> {
  model.ask(test.ledger.shutdown.finish());
  await test.clock.advance(60_000);
}

/** Each queued uuid is in the table, dead-lettered or spilled, and never twice. */
function expectNothingLost(test: LedgerUnderTest, model: Model): void {
  const { ledger, sink, letters, spilled } = test;
  const stats = ledger.stats();
  assertConservation(stats);
  expect(stats).toMatchObject({ depth: 0, inFlight: 0, waiting: 0 });
  expect(spilled).toHaveLength(stats.spilled);
  expect(letters.filter(({ reason }) => reason !== 'invalid')).toHaveLength(stats.deadLettered);
  const inTable = new Set([...sink.rows.keys()].filter((uuid) => !model.foreign.has(uuid)));
  for (const { uuid, mayExist } of spilled) {
    const isDuplicate = UUIDS.includes(uuid);
    if (!mayExist && !isDuplicate)
      expect(inTable.has(uuid), 'spilled and in the table').toBe(false);
  }
  for (const { uuid, reason } of letters) {
    if (reason !== 'refused' || UUIDS.includes(uuid!)) continue;
    if (landedAfterRefusal.has(uuid!)) continue;
    expect(inTable.has(uuid!), 'dead-lettered and in the table').toBe(false);
  }
  const kept = new Set([...inTable, ...spilled.map(({ uuid }) => uuid)]);
  for (const { uuid, reason } of letters) if (reason !== 'invalid') kept.add(uuid!);
  const own = [...kept].filter((uuid) => !UUIDS.includes(uuid));
  expect(own, 'queued and nowhere').toHaveLength(stats.queued - model.queuedWithChosenUuid);
}

describe('a ledger in any order of events', () => {
  it('keeps the conservation law after each step, and answers every caller exactly once', async () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 30 });
    const options = fc.record({
      batchSize: fc.constantFrom(1, 2, 3),
      bufferSize: fc.constantFrom(3, 4, 8),
      numWorkers: fc.constantFrom(1, 2, 3),
    });
    let renewed = 0;
    await fc.assert(
      fc.asyncProperty(options, steps, async (settings, life) => {
        const test = ledgerUnderTest({
          ...settings,
          flushMs: 50,
          shutdownTimeoutMs: 2000,
          blockTimeoutMs: 200,
          commitTimeoutMs: 400,
          retryMinMs: 20,
          retryMaxMs: 100,
        });
        const model = new Model();
        await start(test);
        for (const each of life) {
          await apply(test, model, each);
          assertConservation(test.ledger.stats());
        }
        await end(test, model);
        expectNothingLost(test, model);
        expect(model.answers).toEqual(model.answers.map(() => 1));
        expect(test.clock.pendingHolds).toBe(0);
        renewed += test.ledger.stats().renewedUuids;
      }),
      { numRuns: LIVES },
    );
    expect(renewed, 'the random lives had shadowed entries').toBeGreaterThan(0);
  }, 300_000);
});
