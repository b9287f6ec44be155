import * as fc from 'fast-check';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { JournaledLives, type JournaledLife } from './journal/fixtures/journaled-lives.fixture.js';
import type { FileOperation } from './journal/fixtures/memory-files.fixture.js';
import { until } from './journal/fixtures/recovery-bench.fixture.js';
import type { DeadLetter } from './ports/dead-letter-store.interface.js';
import type { SinkFault } from './testing/in-memory.sink.js';
import { assertConservation } from './testing/ledger-under-test.js';

/** Histories that are drawn. */
const DRAWN = Number(process.env['LEDGER_JOURNAL_MODEL_RUNS'] ?? 60);

/** One step of a life of a ledger with a journal. */
type Step =
  | { readonly do: 'record'; readonly count: number; readonly isPoison: boolean }
  | { readonly do: 'turn' }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'fail'; readonly fault: SinkFault }
  | { readonly do: 'away'; readonly isAway: boolean }
  | { readonly do: 'hold'; readonly isHolding: boolean }
  | { readonly do: 'disk'; readonly isFull: boolean }
  | { readonly do: 'letters'; readonly areRefused: boolean };

/** How a life ends. */
type End = 'kill' | 'stop' | 'exit';

const fault: fc.Arbitrary<SinkFault> = fc.record({
  kind: fc.constant('transient' as const),
  rows: fc.constantFrom('none' as const, 'in' as const),
});
const flag = (name: string, key: string, weight: number) => ({
  weight,
  arbitrary: fc.boolean().map((is) => ({ do: name, [key]: is }) as unknown as Step),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('record' as const),
      count: fc.integer({ min: 1, max: 6 }),
      isPoison: fc.integer({ min: 0, max: 4 }).map((drawn) => drawn === 0),
    }),
  },
  { weight: 4, arbitrary: fc.constant({ do: 'turn' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.nat({ max: 1500 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fail' as const), fault }) },
  flag('away', 'isAway', 2),
  flag('hold', 'isHolding', 2),
  flag('disk', 'isFull', 2),
  flag('letters', 'areRefused', 2),
);
const life = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 15 }),
  end: fc.constantFrom<End>('kill', 'kill', 'stop', 'exit'),
});
const history = fc.record({
  lives: fc.array(life, { minLength: 1, maxLength: 4 }),
  sync: fc.constantFrom('turn' as const, 'entry' as const, 'power' as const),
  overflow: fc.constantFrom('disk' as const, 'drop' as const),
  batchSize: fc.constantFrom(1, 3, 10),
});

const WRITES: readonly FileOperation[] = [
  ...(['write', 'writeMany', 'writeLater', 'create', 'makeNewFolder'] as const),
];

/** What was promised of the entries of all lives, and what they are in. */
class Model {
  readonly lives = new JournaledLives();
  /** Entries that a table, a letter or a file must have at the end. */
  readonly promised = new Set<string>();
  readonly #inFiles = new Set<string>();
  readonly #poison = new Set<string>();
  /** Of the present life, by position. */
  #uuids: string[] = [];
  #count = 0;
  #current: JournaledLife | undefined;
  #areLettersRefused = false;
  /** Refused, with no letter and no file: of these the counters tell, and nothing else. */
  readonly #counted = new Set<string>();

  async begin({ sync, overflow, batchSize }: Pick<History, 'sync' | 'overflow' | 'batchSize'>) {
    this.#uuids = [];
    this.#current = await this.lives.begin({
      sync,
      options: {
        ...{ overflow, batchSize, flushMs: 50, numWorkers: 2, retryMinMs: 20, retryMaxMs: 100 },
        ...{ bufferSize: 10_000, shutdownTimeoutMs: 2000 },
      },
      store: (letters) => this.#store(letters),
    });
  }

  get #life(): JournaledLife {
    return this.#current!;
  }

  async #store(letters: readonly DeadLetter[]): Promise<void> {
    if (!this.#areLettersRefused) return void this.lives.letters.push(...letters);
    const { durableUntil } = this.#life.ledger.journal!;
    for (const { uuid } of letters) {
      if (this.#uuids.indexOf(uuid!) >= durableUntil) this.#counted.add(uuid!);
    }
    throw new Error('no letter is taken');
  }

  #record(isPoison: boolean): void {
    const uuid = `01890a5d-ac96-774b-bcce-${(0xb302099a8000 + this.#count++).toString(16)}`;
    if (isPoison) {
      this.lives.sink.refuse(uuid);
      this.#poison.add(uuid);
    }
    expect(this.#life.ledger.intake.offer({ userId: 1, uuid })).toBe('queued');
    this.#uuids.push(uuid);
  }

  async apply(each: Step): Promise<void> {
    const { sink } = this.lives;
    const { clock } = this.#life;
    if (each.do === 'record') {
      for (let i = 0; i < each.count; i++) this.#record(each.isPoison && i === 0);
    } else if (each.do === 'turn') {
      await clock.turn();
    } else if (each.do === 'advance') {
      await clock.advance(each.ms);
    } else if (each.do === 'fail') {
      sink.failNext(each.fault);
    } else if (each.do === 'away') {
      sink.failAlways(each.isAway ? { kind: 'transient' } : undefined);
    } else if (each.do === 'hold') {
      this.#hold(each.isHolding);
    } else if (each.do === 'disk') {
      this.#life.refuse((operation) => {
        return each.isFull && WRITES.includes(operation) ? 'ENOSPC' : undefined;
      });
    } else {
      this.#areLettersRefused = each.areRefused;
    }
  }

  #hold(isHolding: boolean): void {
    this.lives.sink.hold(isHolding);
    if (isHolding) return;
    for (const held of [...this.lives.sink.held]) held.release();
  }

  async end(end: End): Promise<void> {
    const { ledger, spilled, rows } = this.#life;
    let { durableUntil } = ledger.journal!;
    if (end !== 'kill') durableUntil = this.#uuids.length;
    for (const uuid of this.#uuids.slice(0, durableUntil)) this.promised.add(uuid);
    if (end === 'stop') await this.lives.finish(this.#life);
    if (end === 'exit') ledger.exit.run();
    assertConservation(ledger.stats());
    this.#life.kill();
    for (const { uuid } of spilled) this.#inFiles.add(uuid);
    for (const { position, count } of rows) {
      for (const uuid of this.#uuids.slice(position, position + count)) this.#inFiles.add(uuid);
    }
    for (const held of [...this.lives.sink.held]) held.release({ kind: 'transient' });
  }

  /** A last life, in which everything works, has the rows of all others. */
  async settle(given: Pick<History, 'sync' | 'overflow' | 'batchSize'>): Promise<void> {
    const { sink } = this.lives;
    this.#hold(false);
    sink.failAlways(undefined);
    for (const uuid of this.#poison) sink.accept(uuid);
    this.#areLettersRefused = false;
    await this.begin(given);
    const { ledger } = this.#life;
    await until(this.#life, () => {
      const { inFlight } = ledger.stats();
      return inFlight === 0 && readdirSync(this.lives.dir).length === 0;
    });
    assertConservation(ledger.stats());
  }

  /** Promised entries that are nowhere. */
  get missing(): string[] {
    const { sink, letters } = this.lives;
    const inLetters = new Set(letters.map(({ uuid }) => uuid));
    return [...this.promised].filter((uuid) => {
      const isSomewhere = sink.rows.has(uuid) || inLetters.has(uuid) || this.#inFiles.has(uuid);
      return !isSomewhere && !this.#counted.has(uuid);
    });
  }
}

type History = typeof history extends fc.Arbitrary<infer Drawn> ? Drawn : never;

describe('ledgers with a journal, one after another', () => {
  it(
    'lose no durable entry, whatever fails and however each of them ends',
    async () => {
      let promised = 0;
      await fc.assert(
        fc.asyncProperty(history, async ({ lives, ...given }) => {
          const model = new Model();
          try {
            for (const { steps, end } of lives) {
              await model.begin(given);
              for (const each of steps) await model.apply(each);
              await model.end(end);
            }
            await model.settle(given);
            expect(model.missing).toEqual([]);
            expect(model.lives.letters.filter(({ reason }) => reason === 'conflict')).toEqual([]);
            promised += model.promised.size;
          } finally {
            await model.lives.end();
          }
        }),
        { numRuns: DRAWN, verbose: true },
      );
      expect(promised).toBeGreaterThan(DRAWN);
    },
    60_000 + DRAWN * 1000,
  );
});
