import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import { EVENTUAL } from './sink-eventual.tests.js';
import { EXACTLY_ONCE } from './sink-exactly-once.tests.js';
import { FAILING, REFUSING } from './sink-failing.tests.js';
import { SinkTrial } from './sink-trial.js';
import { WRITING } from './sink-writing.tests.js';

/**
 * What a sink promises of a row that it gets twice: after an unknown outcome the writer sends it
 * again.
 *
 * - `exactly-once`: it keeps the row once. It reports rows that were there as duplicates or, if
 *   their content differs, as conflicts.
 * - `eventual`: it may keep the row twice; whoever reads the store keeps one row of each uuid.
 *   It may report each row as written. It loses none.
 *
 * @publicApi
 */
export type SinkLevel = 'exactly-once' | 'eventual';

/** A sink under test, and what the suite must do around it. @publicApi */
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
   * All rows in the store as uuid -> content, read past the sink; each uuid once. The suite asks an
   * `eventual` store again for up to `visibleMs`.
   */
  stored(): Promise<ReadonlyMap<string, string>>;
  /** From now on the server refuses a row with this content. Needed unless `refusesRows` is false. */
  refuse?(content: string): Promise<void>;
  /** From now on no write gets through, until the returned function is called. */
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

/** Which tests run, and in which runner. @publicApi */
export interface SinkConformanceOptions {
  /** What the sink promises. Default: `exactly-once`. */
  readonly level?: SinkLevel;
  /** False for a server that takes any row, as a broker does. Default: true. */
  readonly refusesRows?: boolean;
  /** Ms that a store of level `eventual` may take to show a row. Default: 10,000. */
  readonly visibleMs?: number;
  /** Default: the global `describe` and `it`. */
  readonly runner?: TestRunner;
}

/** How long an `eventual` store may take to show a row, unless it says. */
const VISIBLE_MS = 10_000;

/** One test of the suite. @internal */
export type SinkTest = (trial: SinkTrial) => Promise<void>;

/**
 * What every sink must do, as a suite of tests: atomic batches, no row lost, failures as the port
 * says them; at the level `exactly-once` each row once, and duplicates and conflicts told apart.
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
