import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import { EVENTUAL } from './sink-eventual.tests.js';
import { EXACTLY_ONCE } from './sink-exactly-once.tests.js';
import { FAILING, REFUSING } from './sink-failing.tests.js';
import { SinkTrial } from './sink-trial.js';
import { WRITING } from './sink-writing.tests.js';

/**
 * A sink's guarantee for rows that it receives twice, because the writer repeats a batch after an
 * unknown outcome.
 *
 * - `exactly-once`: it stores the row once, and reports existing rows as duplicates or, if their
 *   content differs, as conflicts.
 * - `eventual`: it may store the row twice, and readers of the store use one row of each uuid. It
 *   may report each row as written. It loses none.
 *
 * @publicApi
 */
export type SinkLevel = 'exactly-once' | 'eventual';

/** A sink under test, and the suite's access to its store. @publicApi */
export interface SinkSubject {
  readonly sink: LedgerSink;
  /**
   * One encoded row with this uuid; rows with the same uuid and content are equal. Default: an entry
   * of the default ledger whose `memo` is the content. Use `createRowEncoder` for another definition.
   *
   * @param content up to 8000 bytes of any text without U+0000
   */
  row?(uuid: string, content: string): Buffer;
  /**
   * All rows in the store as uuid -> content, read without the sink; each uuid once. The suite asks
   * an `eventual` store again for up to `visibleMs`.
   */
  stored(): Promise<ReadonlyMap<string, string>>;
  /**
   * From now on, the server refuses rows with this content. Required unless `refusesRows` is false.
   */
  refuse?(content: string): Promise<void>;
  /** Blocks all writes until the returned function is called. */
  block(): Promise<() => Promise<void>>;
  /** Ends the subject, sink included. */
  dispose(): Promise<void>;
}

/** `describe` and `it` of the test runner: vitest, jest and node:test have them. @publicApi */
export interface TestRunner {
  /** A group of tests. */
  describe(name: string, body: () => void): unknown;
  /** One test; it fails if the body rejects. */
  it(name: string, body: () => Promise<void>): unknown;
}

/** Options: which tests run, and in which runner. @publicApi */
export interface SinkConformanceOptions {
  /** The sink's guarantee. Default: `exactly-once`. */
  readonly level?: SinkLevel;
  /** False for a server that accepts any row, such as a broker. Default: true. */
  readonly refusesRows?: boolean;
  /** Maximum ms until a store of level `eventual` shows a row. Default: 10,000. */
  readonly visibleMs?: number;
  /** Default: the global `describe` and `it`. */
  readonly runner?: TestRunner;
}

/** How long an `eventual` store may take to show a row, unless it says. */
const VISIBLE_MS = 10_000;

/** One test of the suite. @internal */
export type SinkTest = (trial: SinkTrial) => Promise<void>;

/**
 * The conformance suite of sinks: atomic batches, no lost row, failures as the port requires. At
 * the level `exactly-once` also each row once, and duplicates and conflicts distinguished.
 *
 * @param makeSubject called once per test; the store is empty then
 * @publicApi
 */
export function describeSinkConformance(
  name: string,
  makeSubject: () => Promise<SinkSubject>,
  options: SinkConformanceOptions = {},
): void {
  const { level = 'exactly-once', refusesRows = true } = options;
  const visibleMs = level === 'eventual' ? (options.visibleMs ?? VISIBLE_MS) : 0;
  const runner = options.runner ?? (globalThis as unknown as TestRunner);
  const tests: Record<string, SinkTest> = {
    ...WRITING,
    ...(level === 'exactly-once' ? EXACTLY_ONCE : EVENTUAL),
    ...FAILING,
    ...(refusesRows ? REFUSING : {}),
  };
  runner.describe(`${name} as a ledger sink, ${level}`, () => {
    for (const [title, test] of Object.entries(tests)) {
      runner.it(title, async () => {
        const subject = await makeSubject();
        try {
          await subject.sink.prepare();
          await test(new SinkTrial(subject, visibleMs));
        } finally {
          await subject.dispose();
        }
      });
    }
  });
}
