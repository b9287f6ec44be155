import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  isSinkHaltError,
  isSinkRowError,
  isSinkTransientError,
  type SinkRowError,
  type SinkTransientError,
} from '../errors/sink.errors.js';
import type {
  LedgerSink,
  RowBatch,
  WriteAttempt,
  WriteResult,
} from '../ports/ledger-sink.interface.js';

/** A sink under test, and what the suite must do around it. @publicApi */
export interface SinkSubject {
  readonly sink: LedgerSink;
  /**
   * One encoded row with this uuid. Rows with the same uuid and content are equal; another content
   * makes another row. @param content up to 8000 bytes of any text without U+0000
   */
  row(uuid: string, content: string): Buffer;
  /** All committed rows as uuid -> content, read past the sink. */
  stored(): Promise<ReadonlyMap<string, string>>;
  /** From now on the server refuses a row with this content. */
  refuse(content: string): Promise<void>;
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

const ATTEMPT: WriteAttempt = { timeoutMs: 10_000, isAwaited: false, mayExist: false };
const AGAIN: WriteAttempt = { ...ATTEMPT, mayExist: true };
/** Long enough for a round trip, short enough for a test. */
const SHORT_MS = 1_000;
/** What has not ended by then has no end; less would judge the machine that the suite runs on. */
const ENDLESS_MS = 10_000;

type Test = (subject: SinkSubject) => Promise<void>;

/**
 * What every sink must do, as a suite of tests: atomic batches, each row once, duplicates and
 * conflicts told apart, failures as the port says them.
 *
 * @param makeSubject called once per test; the table is empty then
 * @param runner default: the global `describe` and `it`
 * @publicApi
 */
export function describeSinkConformance(
  name: string,
  makeSubject: () => Promise<SinkSubject>,
  runner: TestRunner = globalThis as unknown as TestRunner,
): void {
  runner.describe(`${name} as a ledger sink`, () => {
    for (const [title, test] of Object.entries({ ...WRITING, ...REPEATING, ...FAILING })) {
      runner.it(title, async () => {
        const subject = await makeSubject();
        try {
          await subject.sink.prepare();
          await test(subject);
        } finally {
          await subject.dispose();
        }
      });
    }
  });
}

/**
 * Encoded rows as a batch, as the channel would give it.
 *
 * @param rowsPerSlice how many rows lie back to back; default all
 * @publicApi
 */
export function rowBatch(rows: readonly Buffer[], rowsPerSlice = rows.length): RowBatch {
  const slices: Buffer[] = [];
  for (let at = 0; at < rows.length; at += rowsPerSlice) {
    slices.push(Buffer.concat(rows.slice(at, at + rowsPerSlice)));
  }
  return {
    count: rows.length,
    bytes: slices.reduce((sum, slice) => sum + slice.length, 0),
    slices: () => slices.map((slice) => slice.subarray()),
    row: (index) => rows[index]!,
  };
}

const WRITING: Record<string, Test> = {
  'writes every row of a batch': async (subject) => {
    const entries = someEntries(3);
    assert.deepEqual(await write(subject, entries), written(3));
    assert.deepEqual(await subject.stored(), new Map(entries));
  },

  'writes a batch of one row, and one whose rows lie in many slices': async (subject) => {
    const one = someEntries(1);
    const many = someEntries(50);
    assert.deepEqual(await write(subject, one), written(1));
    const batch = rowBatch(rowsOf(subject, many), 7);
    assert.deepEqual(await subject.sink.write(batch, ATTEMPT), written(50));
    assert.deepEqual(await subject.stored(), new Map([...one, ...many]));
  },

  'keeps any text as it is': async (subject) => {
    const texts = [
      '',
      ' ',
      '😀 "quoted" \\ back\tslash\n',
      'é'.repeat(4000),
      "'; DROP TABLE x; --",
    ];
    const entries = texts.map((text): Entry => [randomUUID(), text]);
    await write(subject, entries);
    assert.deepEqual(await subject.stored(), new Map(entries));
  },

  'writes a batch of several MiB': async (subject) => {
    const entries = someEntries(600).map(([uuid], index): Entry => {
      return [uuid, `${index} ${'x'.repeat(7900)}`];
    });
    const batch = rowBatch(rowsOf(subject, entries), 100);
    assert.deepEqual(await subject.sink.write(batch, ATTEMPT), written(600));
    assert.equal((await subject.stored()).size, 600);
  },

  'writes batches side by side': async (subject) => {
    const batches = Array.from({ length: 4 }, () => someEntries(20));
    const results = await Promise.all(batches.map((entries) => write(subject, entries)));
    assert.deepEqual(results, [written(20), written(20), written(20), written(20)]);
    assert.equal((await subject.stored()).size, 80);
  },

  'writes an awaited batch like any other': async (subject) => {
    const entries = someEntries(2);
    assert.deepEqual(await write(subject, entries, { ...ATTEMPT, isAwaited: true }), written(2));
    assert.deepEqual(await subject.stored(), new Map(entries));
  },

  'answers a ping, and prepares more than once': async ({ sink }) => {
    await sink.prepare();
    await sink.ping(SHORT_MS * 5);
  },
};

const REPEATING: Record<string, Test> = {
  'writes a batch that may exist and does not': async (subject) => {
    const entries = someEntries(3);
    assert.deepEqual(await write(subject, entries, AGAIN), written(3));
    assert.deepEqual(await subject.stored(), new Map(entries));
  },

  'finds all rows of a batch that was committed without an answer': async (subject) => {
    const entries = someEntries(3);
    await write(subject, entries);
    const result = await write(subject, entries, AGAIN);
    assert.deepEqual(result, { written: 0, duplicates: [0, 1, 2], conflicts: [] });
  },

  'tells new rows, duplicates and conflicts of one batch apart': async (subject) => {
    const [old, taken, ...fresh] = someEntries(5) as [Entry, Entry, ...Entry[]];
    await write(subject, [old, taken]);
    const mixed = [fresh[0]!, old, fresh[1]!, [taken[0], 'other content'], fresh[2]!] as Entry[];
    for (const [attempt, expected] of [
      [AGAIN, { written: 3, duplicates: [1], conflicts: [3] }],
      [AGAIN, { written: 0, duplicates: [0, 1, 2, 4], conflicts: [3] }],
    ] as const) {
      assert.deepEqual(await write(subject, mixed, attempt), expected);
    }
    assert.deepEqual(await subject.stored(), new Map([old, taken, ...fresh]));
  },

  'does the same for rows that nobody expected to exist': async (subject) => {
    const [old, taken, fresh] = someEntries(3) as [Entry, Entry, Entry];
    await write(subject, [old, taken]);
    const result = await write(subject, [[taken[0], 'other content'], fresh, old]);
    assert.deepEqual(result, { written: 1, duplicates: [2], conflicts: [0] });
    assert.deepEqual(await subject.stored(), new Map([old, taken, fresh]));
  },

  'writes the first of equal uuids within a batch': async (subject) => {
    const [one, other] = someEntries(2) as [Entry, Entry];
    const batch: Entry[] = [one, one, other, [one[0], 'other content'], other];
    for (const attempt of [ATTEMPT, AGAIN]) {
      const expected =
        attempt === ATTEMPT
          ? { written: 2, duplicates: [1, 4], conflicts: [3] }
          : { written: 0, duplicates: [0, 1, 2, 4], conflicts: [3] };
      assert.deepEqual(await write(subject, batch, attempt), expected);
    }
    assert.deepEqual(await subject.stored(), new Map([one, other]));
  },

  'finds the rows that are in the table, whatever their content': async (subject) => {
    const [old, fresh, taken] = someEntries(3) as [Entry, Entry, Entry];
    await write(subject, [old, taken]);
    const rows = rowsOf(subject, [old, fresh, [taken[0], 'other content'], old]);
    assert.deepEqual(await subject.sink.find(rowBatch(rows), SHORT_MS * 5), [0, 2, 3]);
    assert.deepEqual(await subject.sink.find(rowBatch([rows[1]!]), SHORT_MS * 5), []);
  },

  'finds the rows that are in the table with equal content, if asked so': async (subject) => {
    const [old, fresh, taken] = someEntries(3) as [Entry, Entry, Entry];
    await write(subject, [old, taken]);
    const rows = rowsOf(subject, [old, fresh, [taken[0], 'other content'], old]);
    assert.deepEqual(await subject.sink.find(rowBatch(rows), SHORT_MS * 5, true), [0, 3]);
  },

  'writes a uuid once when two batches with it run side by side': async (subject) => {
    const entries = someEntries(40);
    const results = await Promise.all([
      write(subject, entries, AGAIN),
      write(subject, [...entries].reverse(), AGAIN).catch(retried(subject, entries)),
    ]);
    assert.equal(results[0].written + results[1].written, 40);
    assert.deepEqual(results[0].conflicts, []);
    assert.deepEqual(results[1].conflicts, []);
    assert.equal((await subject.stored()).size, 40);
  },
};

const FAILING: Record<string, Test> = {
  'writes nothing of a batch with a row that is refused, and may name it': async (subject) => {
    await subject.refuse('poison');
    const entries = someEntries(5);
    entries[3] = [entries[3]![0], 'poison'];
    for (const attempt of [ATTEMPT, AGAIN]) {
      const error = await failure(write(subject, entries, attempt));
      assert.ok(isSinkRowError(error), String(error));
      const { rowNumber, sqlState }: SinkRowError = error;
      assert.ok(rowNumber === undefined || rowNumber === 4, `row ${rowNumber}`);
      assert.match(sqlState ?? '', /^[0-9A-Z]{5}$/);
    }
    assert.equal((await subject.stored()).size, 0);
    entries.splice(3, 1);
    assert.deepEqual(await write(subject, entries), written(4));
  },

  'keeps users’ text out of the errors': async (subject) => {
    await subject.refuse('a secret of mine');
    const error = await failure(write(subject, [[randomUUID(), 'a secret of mine']]));
    assert.ok(isSinkRowError(error));
    assert.doesNotMatch(textOf(error), /secret of mine/);
  },

  'ends an attempt in time when nothing gets through, and goes on afterwards': async (subject) => {
    const entries = someEntries(3);
    const unblock = await subject.block();
    const begin = performance.now();
    const error = await failure(write(subject, entries, { ...ATTEMPT, timeoutMs: SHORT_MS }));
    const ms = performance.now() - begin;
    await unblock();
    assert.ok(isSinkTransientError(error), String(error));
    assert.ok(ms < ENDLESS_MS, `took ${ms} ms`);
    const { outcomeKnown }: SinkTransientError = error;
    const result = await write(subject, entries, { ...ATTEMPT, mayExist: !outcomeKnown });
    assert.equal(result.written + result.duplicates.length, 3);
    assert.deepEqual(await subject.stored(), new Map(entries));
  },

  'closes more than once, and rejects afterwards or writes all the same': async (subject) => {
    const before = someEntries(1);
    const after = someEntries(2);
    await write(subject, before);
    await subject.sink.close();
    await subject.sink.close();
    const outcome = await write(subject, after).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    const stored = await subject.stored();
    if ('result' in outcome) {
      assert.deepEqual(outcome.result, written(2));
      assert.deepEqual(stored, new Map([...before, ...after]));
    } else {
      const { error } = outcome;
      assert.ok(isSinkError(error), String(error));
      const isUnknown = isSinkTransientError(error) && !error.outcomeKnown;
      if (!isUnknown) assert.deepEqual(stored, new Map(before));
    }
  },
};

type Entry = [uuid: string, content: string];

function someEntries(count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => [randomUUID(), `content ${index}`]);
}

function rowsOf(subject: SinkSubject, entries: readonly Entry[]): Buffer[] {
  return entries.map(([uuid, content]) => subject.row(uuid, content));
}

function write(
  subject: SinkSubject,
  entries: readonly Entry[],
  attempt = ATTEMPT,
): Promise<WriteResult> {
  return subject.sink.write(rowBatch(rowsOf(subject, entries)), attempt);
}

function written(count: number): WriteResult {
  return { written: count, duplicates: [], conflicts: [] };
}

/** Rows of two batches in opposite order may wait for each other; the server then ends one. */
function retried(subject: SinkSubject, entries: readonly Entry[]) {
  return (error: unknown): Promise<WriteResult> => {
    assert.ok(isSinkTransientError(error), String(error));
    return write(subject, entries, AGAIN);
  };
}

function isSinkError(error: unknown): boolean {
  return isSinkTransientError(error) || isSinkRowError(error) || isSinkHaltError(error);
}

async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  return assert.fail('should have been rejected');
}

/** Everything that a logger could print of an error and its causes. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = Object.getOwnPropertyNames(error).map((name) => {
    return `${name}: ${String((error as unknown as Record<string, unknown>)[name])}`;
  });
  return [...own, textOf(error.cause ?? '')].join('\n');
}
