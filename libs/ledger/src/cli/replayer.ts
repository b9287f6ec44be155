import { setTimeout as delay } from 'node:timers/promises';
import { createRowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isSinkRowError, isSinkTransientError } from '../errors/sink.errors.js';
import { PgConnections } from '../postgres/pg-connections.js';
import { PostgresSink } from '../sink/postgres.sink.js';
import { retryDelayMs } from '../writer/retry-policy.js';
import type { CommandDatabase } from './command-database.js';
import { RowList } from './row-list.js';

/** One attempt at up to 500 entries, a held lock included. */
const ATTEMPT_MS = 30_000;
/** A person waits: after about ten seconds of a server that is away it is better to say so. */
const MAX_ATTEMPTS = 8;
const RETRY = { minMs: 100, maxMs: 3000 };

/** An entry that was set aside. @internal */
export interface ReplayItem {
  readonly entry: Readonly<Record<string, unknown>>;
  /** Stands in for the uuid of an entry that has none, so that a second replay makes no second. */
  readonly fallbackUuid: string;
  /** The same for `createdAt`; milliseconds since 1970. */
  readonly queuedAt: number;
}

/**
 * What became of an entry: `missing` only in a dry run, where it would have been written.
 *
 * @internal
 */
export type Fate =
  | { readonly outcome: 'written' | 'present' | 'missing' }
  | { readonly outcome: 'refused'; readonly why: string };

interface Row {
  readonly index: number;
  readonly bytes: Buffer;
}

/**
 * Writes entries that were set aside through the path that skips what is there already: by uuid,
 * so that it may be interrupted and repeated. To be closed before the database.
 *
 * @internal
 */
export class Replayer {
  readonly #database: CommandDatabase;
  readonly #isDryRun: boolean;
  readonly #connections: PgConnections;
  /** By definition: entries of other applications have other fields, in any order. */
  readonly #sinks = new Map<string, PostgresSink>();

  constructor(database: CommandDatabase, isDryRun: boolean) {
    this.#database = database;
    this.#isDryRun = isDryRun;
    const { dataSource } = database;
    this.#connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: false });
  }

  /**
   * @param items up to some hundred
   * @returns one fate for each, in their order
   * @throws SinkTransientError if the server stays away, SinkHaltError if it refuses all
   */
  async replay(items: readonly ReplayItem[]): Promise<Fate[]> {
    const table = this.#database.definitionFor(
      new Set(items.flatMap(({ entry }) => Object.keys(entry))),
    );
    const sink = this.#sinkOf(table);
    const fates: Fate[] = [];
    const rows = encode(table, items, fates);
    if (rows.length === 0) return fates;
    if (this.#isDryRun) await this.#look(sink, rows, fates);
    else await this.#write(sink, rows, fates);
    return fates;
  }

  /** Leaves the database's pool without listeners. Never rejects. */
  close(): Promise<void> {
    return this.#connections.close();
  }

  #sinkOf(table: LedgerTable): PostgresSink {
    const key = JSON.stringify(table);
    const known = this.#sinks.get(key);
    if (known) return known;
    const { dataSource } = this.#database;
    const sink = new PostgresSink({
      dataSource: () => dataSource,
      ownsDataSource: false,
      connections: this.#connections,
      table,
      strategy: 'copy',
      prepare: async () => undefined,
      onNotice: () => undefined,
    });
    this.#sinks.set(key, sink);
    return sink;
  }

  async #look(sink: PostgresSink, rows: readonly Row[], fates: Fate[]): Promise<void> {
    const batch = new RowList(rows.map(({ bytes }) => bytes));
    const present = new Set(await patiently(() => sink.find(batch, ATTEMPT_MS)));
    rows.forEach(({ index }, at) => {
      fates[index] = { outcome: present.has(at) ? 'present' : 'missing' };
    });
  }

  /** One extra round trip per refused row, or a few where the server names none. */
  async #write(sink: PostgresSink, rows: readonly Row[], fates: Fate[]): Promise<void> {
    if (rows.length === 0) return;
    const attempt = { timeoutMs: ATTEMPT_MS, isAwaited: true, mayExist: true };
    const batch = new RowList(rows.map(({ bytes }) => bytes));
    try {
      const result = await patiently(() => sink.write(batch, attempt));
      for (const { index } of rows) fates[index] = { outcome: 'written' };
      for (const at of result.duplicates) fates[rows[at]!.index] = { outcome: 'present' };
      for (const at of result.conflicts) fates[rows[at]!.index] = CONFLICT;
    } catch (error) {
      if (!isSinkRowError(error)) throw error;
      const guilty = error.rowNumber ?? (rows.length === 1 ? 1 : undefined);
      if (guilty === undefined) {
        const middle = rows.length >>> 1;
        await this.#write(sink, rows.slice(0, middle), fates);
        await this.#write(sink, rows.slice(middle), fates);
        return;
      }
      fates[rows[guilty - 1]!.index] = { outcome: 'refused', why: error.message };
      await this.#write(sink, rows.toSpliced(guilty - 1, 1), fates);
    }
  }
}

const CONFLICT: Fate = {
  outcome: 'refused',
  why: 'the uuid is taken by an entry with other content',
};

/** Encodes what is valid; what is not gets its fate at once. */
function encode(table: LedgerTable, items: readonly ReplayItem[], fates: Fate[]): Row[] {
  const codec = new RowCodec(table);
  const rows: Row[] = [];
  items.forEach((item, index) => {
    const fault = codec.parser.parse(revive(item, table), Date.now());
    if (fault !== undefined) {
      fates[index] = { outcome: 'refused', why: `${fault.field} ${fault.rule}` };
      return;
    }
    const target = createRowTarget(codec.maxRowBytes);
    const end = codec.encode(target, 0, { run: 0, sequence: 0 });
    rows.push({ index, bytes: target.bytes.subarray(0, end) });
  });
  return rows;
}

/** JSON has no dates; everything else is as `record()` takes it. */
function revive(
  { entry, fallbackUuid, queuedAt }: ReplayItem,
  table: LedgerTable,
): Record<string, unknown> {
  const revived: Record<string, unknown> = { ...entry };
  const dates = Object.keys(table.columns).filter((name) => table.columns[name] === 'timestamptz');
  for (const field of ['createdAt', ...dates]) {
    const value = revived[field];
    if (typeof value === 'string') revived[field] = new Date(value);
  }
  // The key's uuid is made of createdAt too, which only the caller knows: without it none is written.
  if (revived['idempotencyKey'] != null) return revived;
  revived['uuid'] ??= fallbackUuid;
  revived['createdAt'] ??= new Date(queuedAt);
  return revived;
}

/** Tries again while the server is away. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isSinkTransientError(error) || attempt === MAX_ATTEMPTS) throw error;
    }
    await delay(retryDelayMs(attempt, RETRY, Math.random()));
  }
}
