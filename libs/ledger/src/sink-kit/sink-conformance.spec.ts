import { describe, expect, it } from 'vitest';
import { RowCodec } from '../codec/row-codec.js';
import { SinkTransientError } from '../errors/sink.errors.js';
import type { LedgerSink, RowBatch, WriteResult } from '../ports/ledger-sink.interface.js';
import { InMemorySink } from '../testing/in-memory.sink.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { createRowReader } from './row-reader.js';
import { describeSinkConformance, type SinkLevel, type SinkSubject } from './sink-conformance.js';

const READER = createRowReader(PLAIN_TABLE);
const runner = { describe, it };

function memoOf(row: Buffer): string {
  return READER.entry(row).memo ?? '';
}

async function inMemorySubject(): Promise<SinkSubject> {
  const refused = new Set<string>();
  const sink = new (class extends InMemorySink {
    override write(...args: Parameters<InMemorySink['write']>): Promise<WriteResult> {
      for (const row of rowsOf(args[0]))
        if (refused.has(memoOf(row))) this.refuse(READER.uuid(row));
      return super.write(...args);
    }
  })();
  return {
    sink,
    stored: async () => new Map([...sink.rows].map(([uuid, row]) => [uuid, memoOf(row)])),
    refuse: async (content) => void refused.add(content),
    async block() {
      sink.failNext({ kind: 'transient' });
      return async () => {};
    },
    dispose: () => sink.close(),
  };
}

function rowsOf(batch: RowBatch): Buffer[] {
  return Array.from({ length: batch.count }, (_, index) => Buffer.from(batch.row(index)));
}

/** A log that anybody may append to: it keeps what comes, as often as it comes. */
class LogSink implements LedgerSink {
  readonly rows: Buffer[] = [];
  isBlocked = false;

  async prepare(): Promise<void> {}

  async write(batch: RowBatch): Promise<WriteResult> {
    if (this.isBlocked) throw new SinkTransientError('blocked', { outcomeKnown: false });
    const rows = rowsOf(batch);
    // Half of it comes in late, as on a replica.
    this.rows.push(...rows.slice(0, 1));
    setImmediate(() => this.rows.push(...rows.slice(1)));
    return { written: batch.count, duplicates: [], conflicts: [] };
  }

  find(batch: RowBatch, timeoutMs: number, isSame?: boolean): Promise<readonly number[]>;
  async find(): Promise<readonly number[]> {
    return [];
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}
}

async function logSubject(sink: LogSink = new LogSink()): Promise<SinkSubject> {
  return {
    sink,
    // Readers take the first row of each uuid.
    stored: async () =>
      new Map([...sink.rows].reverse().map((row) => [RowCodec.uuidOf(row), memoOf(row)])),
    async block() {
      sink.isBlocked = true;
      return async () => void (sink.isBlocked = false);
    },
    dispose: async () => {},
  };
}

describeSinkConformance('the in-memory sink', inMemorySubject, { runner });
describeSinkConformance('a log', logSubject, { level: 'eventual', refusesRows: false, runner });

/** Titles of the tests that a subject fails. */
async function failuresOf(
  makeSubject: () => Promise<SinkSubject>,
  options: { level: SinkLevel; refusesRows?: boolean },
): Promise<string[]> {
  const tests: [string, () => Promise<void>][] = [];
  const collect = {
    describe: (_: string, body: () => void) => body(),
    it: (title: string, body: () => Promise<void>) => void tests.push([title, body]),
  };
  describeSinkConformance('a subject', makeSubject, {
    ...options,
    visibleMs: 100,
    runner: collect,
  });
  expect(tests.length).toBeGreaterThan(10);
  const results = await Promise.all(
    tests.map(([title, body]) =>
      body().then(
        () => [],
        () => [title],
      ),
    ),
  );
  return results.flat();
}

describe('the suite', () => {
  it('fails a sink of level eventual that is run as exactly-once', async () => {
    const failures = await failuresOf(logSubject, { level: 'exactly-once', refusesRows: false });
    expect(failures).toContain('finds all rows of a batch that was committed without an answer');
    expect(failures).toContain('tells new rows, duplicates and conflicts of one batch apart');
  });

  it('fails a sink that takes an unknown batch for one that is there', async () => {
    const lossy = async (): Promise<SinkSubject> => {
      const subject = await inMemorySubject();
      const { sink } = subject;
      const write = sink.write.bind(sink);
      sink.write = async (batch, attempt) => {
        const result = { written: batch.count, duplicates: [], conflicts: [] };
        return attempt.mayExist ? result : write(batch, attempt);
      };
      return subject;
    };
    expect(await failuresOf(lossy, { level: 'eventual' })).toContain(
      'loses no row of a batch that is there in part',
    );
    expect(await failuresOf(lossy, { level: 'exactly-once' })).toContain(
      'writes a batch that may exist and does not',
    );
  });

  it('fails a sink whose answer does not account for each row', async () => {
    const forgetful = async (): Promise<SinkSubject> => {
      const subject = await inMemorySubject();
      const write = subject.sink.write.bind(subject.sink);
      subject.sink.write = async (batch, attempt) => {
        const result = await write(batch, attempt);
        return { ...result, written: result.written - 1 };
      };
      return subject;
    };
    expect(await failuresOf(forgetful, { level: 'eventual' })).toContain(
      'writes every row of a batch',
    );
  });

  it('fails a subject that can refuse no row, unless it says so', async () => {
    const failures = await failuresOf(logSubject, { level: 'eventual' });
    expect(failures).toEqual([
      'writes nothing of a batch with a row that is refused, and may name it',
      'keeps users’ text out of the errors',
    ]);
  });
});
