import type { LedgerStream } from '../ports/ledger-stream.interface.js';
import type { TestRunner } from './sink-conformance.js';
import { PUBLISHING } from './stream-publishing.tests.js';
import { TAKING } from './stream-taking.tests.js';
import { StreamTrial } from './stream-trial.js';

/** A stream under test, and the suite's control over it. @publicApi */
export interface StreamSubject {
  /**
   * Another process's connection to the same stream, not opened yet. Its `redeliverMs` should be
   * about a second, because the suite waits for it.
   */
  connect(): LedgerStream | Promise<LedgerStream>;
  /** Blocks all traffic until the returned function is called. */
  block(): Promise<() => Promise<void>>;
  /** Ends the subject; the suite has closed what it connected. */
  dispose(): Promise<void>;
}

/** Options of the suite. @publicApi */
export interface StreamConformanceOptions {
  /** Default: the global `describe` and `it`. */
  readonly runner?: TestRunner;
}

/** One test of the suite. @internal */
export type StreamTest = (trial: StreamTrial) => Promise<void>;

/**
 * The conformance suite of streams: no lost message, one writer at a time for each, redelivery when
 * that writer gives it up, failures as the port requires, and unknown layouts left alone.
 *
 * @param makeSubject called once per test; the stream is empty then
 * @publicApi
 */
export function describeStreamConformance(
  name: string,
  makeSubject: () => Promise<StreamSubject>,
  options: StreamConformanceOptions = {},
): void {
  const runner = options.runner ?? (globalThis as unknown as TestRunner);
  runner.describe(`${name} as a ledger stream`, () => {
    for (const [title, test] of Object.entries({ ...PUBLISHING, ...TAKING })) {
      runner.it(title, async () => {
        const subject = await makeSubject();
        const trial = new StreamTrial(subject);
        try {
          await test(trial);
        } finally {
          await trial.end();
          await subject.dispose();
        }
      });
    }
  });
}
