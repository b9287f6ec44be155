import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type {
  LedgerSink,
  RowBatch,
  WriteAttempt,
  WriteResult,
} from '../ports/ledger-sink.interface.js';
import { createRowEncoder } from './row-encoder.js';
import type { SinkSubject } from './sink-conformance.js';

/** A uuid and its content. */
export type Entry = [uuid: string, content: string];

export const ATTEMPT: WriteAttempt = { timeoutMs: 10_000, isAwaited: false, mayExist: false };
export const AGAIN: WriteAttempt = { timeoutMs: 10_000, isAwaited: false, mayExist: true };
/** Long enough for a round trip, short enough for a test. */
export const SHORT_MS = 1_000;
const LOOK_AGAIN_MS = 50;

/** As the default ledger's. */
const PLAIN_TABLE: LedgerTable<'bigint', {}> = {
  name: 'default',
  schema: undefined,
  table: 'usage_entries',
  ids: 'bigint',
  columns: {},
};

/** The context of one test: its subject, and shared checks. */
export class SinkTrial {
  readonly #encode = createRowEncoder(PLAIN_TABLE);

  constructor(
    readonly subject: SinkSubject,
    /** How long the store may take to show a row. */
    private readonly visibleMs: number,
  ) {}

  get sink(): LedgerSink {
    return this.subject.sink;
  }

  /** Encoded rows, as the subject makes them, or entries of the default ledger. */
  rows(entries: readonly Entry[]): Buffer[] {
    return entries.map(([uuid, content]) => {
      if (this.subject.row !== undefined) return this.subject.row(uuid, content);
      const createdAt = new Date('2026-01-01T00:00:00.123Z');
      return this.#encode({ userId: 1, uuid, memo: content, createdAt });
    });
  }

  batch(entries: readonly Entry[], rowsPerSlice?: number): RowBatch {
    return rowBatch(this.rows(entries), rowsPerSlice);
  }

  /** Writes entries as one batch, and checks that the answer accounts for each row once. */
  async write(
    entries: readonly Entry[],
    attempt = ATTEMPT,
    rowsPerSlice?: number,
  ): Promise<WriteResult> {
    const result = await this.sink.write(this.batch(entries, rowsPerSlice), attempt);
    const { written, duplicates, conflicts } = result;
    for (const indexes of [duplicates, conflicts]) {
      const ascending = [...new Set(indexes)].sort((one, other) => one - other);
      assert.deepEqual(indexes, ascending, 'indexes must ascend, each once');
      assert.ok(indexes.every((index) => index >= 0 && index < entries.length));
    }
    assert.ok(!duplicates.some((index) => conflicts.includes(index)), 'a row in both lists');
    assert.equal(written + duplicates.length + conflicts.length, entries.length);
    return result;
  }

  /** Checks that the store holds these entries and no others. */
  async expectStored(expected: readonly Entry[]): Promise<void> {
    const want = new Map(expected);
    await this.#expect((stored) => {
      const missing = [...want.keys()].filter((uuid) => !stored.has(uuid)).length;
      const extra = [...stored.keys()].filter((uuid) => !want.has(uuid)).length;
      const common = [...want].filter(([uuid]) => stored.has(uuid));
      const changed = common.filter(([uuid, content]) => stored.get(uuid) !== content).length;
      if (missing + extra + changed === 0) return undefined;
      return `of ${want.size} rows ${missing} are missing and ${changed} changed, ${extra} are extra`;
    });
  }

  /** Checks that the store holds these uuids, whatever their content, and no others. */
  async expectUuids(expected: readonly string[]): Promise<void> {
    const want = new Set(expected);
    await this.#expect((stored) => {
      const isAll = stored.size === want.size && [...stored.keys()].every((uuid) => want.has(uuid));
      return isAll ? undefined : `the store holds ${stored.size} rows, not these ${want.size}`;
    });
  }

  /** @param faultOf what is wrong with the store, or undefined; the store gets some time */
  async #expect(
    faultOf: (stored: ReadonlyMap<string, string>) => string | undefined,
  ): Promise<void> {
    const until = performance.now() + this.visibleMs;
    let fault = faultOf(await this.subject.stored());
    while (fault !== undefined && performance.now() < until) {
      await delay(LOOK_AGAIN_MS);
      fault = faultOf(await this.subject.stored());
    }
    assert.equal(fault, undefined);
  }

  /** From now on the server refuses a row with this content. */
  async refuse(content: string): Promise<void> {
    const refused = this.subject.refuse?.(content);
    assert.ok(refused, 'the subject has no refuse(): say refusesRows: false');
    await refused;
  }
}

/**
 * Combines encoded rows into a batch like those of the channel.
 *
 * @param rowsPerSlice number of rows in each slice; default: all
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

/** Entries with distinct uuids. */
export function someEntries(count: number): Entry[] {
  return Array.from({ length: count }, (_, index) => [randomUUID(), `content ${index}`]);
}

/** The answer to a batch of rows that are all new. */
export function written(count: number): WriteResult {
  return { written: count, duplicates: [], conflicts: [] };
}

/** What a promise was rejected with. */
export async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  return assert.fail('should have been rejected');
}
