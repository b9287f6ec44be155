import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createRowTarget } from '../codec/row-target.js';
import { RowCodec } from '../codec/row-codec.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { PostgresSink } from '../sink/postgres.sink.js';
import { retryDelayMs } from '../writer/retry-policy.js';
import type { CommandDatabase } from './command-database.js';
import { RowList } from './row-list.js';

/** One attempt at up to 500 entries, a held lock included. */
const ATTEMPT_MS = 30_000;
/** Maximum attempts, about ten seconds: a person waits, so an unreachable server is reported. */
const MAX_ATTEMPTS = 8;
/** Characters of an unknown field's name that are shown. */
const MAX_NAME_LENGTH = 60;
/** A row begins with its field count (2 bytes); the uuid's length (4) and bytes (16) follow. */
const UUID_FIELD = [6, 22] as const;
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
 * Writes set-aside entries with the statement that skips existing rows by uuid. It may be
 * interrupted and repeated.
 *
 * @internal
 */
export class Replayer {
  readonly #database: CommandDatabase;
  readonly #isDryRun: boolean;
  readonly #sink: PostgresSink;
  /** In a dry run: digests of rows that a run would have written, by uuid. */
  readonly #wouldBeWritten = new Map<string, string>();

  constructor(database: CommandDatabase, isDryRun: boolean) {
    this.#database = database;
    this.#isDryRun = isDryRun;
    this.#sink = new PostgresSink({
      connections: database.connections,
      table: database.definition,
      strategy: 'copy',
      prepare: async () => undefined,
      onNotice: () => undefined,
    });
  }

  /**
   * @param items up to some hundred
   * @returns one fate for each, in their order
   * @throws SinkTransientError if the server stays away, SinkHaltError if it refuses all
   */
  async replay(items: readonly ReplayItem[]): Promise<Fate[]> {
    const fates: Fate[] = [];
    const rows = encode(this.#database.definition, items, fates);
    if (rows.length === 0) return fates;
    if (this.#isDryRun) await this.#look(rows, fates);
    else await this.#write(rows, fates);
    return fates;
  }

  async #look(rows: readonly Row[], fates: Fate[]): Promise<void> {
    const batch = new RowList(rows.map(({ bytes }) => bytes));
    const present = new Set(await patiently(() => this.#sink.find(batch, ATTEMPT_MS)));
    const same = new Set(await patiently(() => this.#sink.find(batch, ATTEMPT_MS, true)));
    rows.forEach(({ index, bytes }, at) => {
      if (present.has(at)) fates[index] = same.has(at) ? { outcome: 'present' } : CONFLICT;
      else fates[index] = this.#lookBefore(bytes);
    });
  }

  /** Looks for the row among those that the run would have written before. */
  #lookBefore(row: Buffer): Fate {
    const uuid = row.toString('latin1', ...UUID_FIELD);
    const content = createHash('sha256').update(row).digest('base64');
    const before = this.#wouldBeWritten.get(uuid);
    if (before !== undefined) return before === content ? { outcome: 'present' } : CONFLICT;
    this.#wouldBeWritten.set(uuid, content);
    return { outcome: 'missing' };
  }

  /** One extra round trip per refused row, or a few where the server names none. */
  async #write(rows: readonly Row[], fates: Fate[]): Promise<void> {
    if (rows.length === 0) return;
    const attempt = { timeoutMs: ATTEMPT_MS, isAwaited: true, mayExist: true };
    const batch = new RowList(rows.map(({ bytes }) => bytes));
    try {
      const result = await patiently(() => this.#sink.write(batch, attempt));
      for (const { index } of rows) fates[index] = { outcome: 'written' };
      for (const at of result.duplicates) fates[rows[at]!.index] = { outcome: 'present' };
      for (const at of result.conflicts) fates[rows[at]!.index] = CONFLICT;
    } catch (error) {
      if (!isLedgerError(error, 'SINK_ROW')) throw error;
      const guilty = error.rowNumber ?? (rows.length === 1 ? 1 : undefined);
      if (guilty === undefined) {
        const middle = rows.length >>> 1;
        await this.#write(rows.slice(0, middle), fates);
        await this.#write(rows.slice(middle), fates);
        return;
      }
      fates[rows[guilty - 1]!.index] = { outcome: 'refused', why: error.message };
      await this.#write(rows.toSpliced(guilty - 1, 1), fates);
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
  const fields = new Set(codec.fieldNames);
  const rows: Row[] = [];
  items.forEach((item, index) => {
    const encoded = encodeOne(codec, fields, item, table);
    if (typeof encoded === 'string') fates[index] = { outcome: 'refused', why: encoded };
    else rows.push({ index, bytes: encoded });
  });
  return rows;
}

/** @returns the row, or why there is none */
function encodeOne(
  codec: RowCodec,
  fields: ReadonlySet<string>,
  item: ReplayItem,
  table: LedgerTable,
): Buffer | string {
  try {
    const why = unknownField(item, fields) ?? brokenRule(codec, revive(item, table));
    if (why !== undefined) return why;
    // A keyed entry without createdAt: its time is that of the try that was set aside.
    if (codec.parser.isTimeOfTry && item.entry['createdAt'] == null) {
      codec.parser.createdAtMs = item.queuedAt;
    }
    const target = createRowTarget(codec.maxRowBytes);
    const end = codec.encode(target, 0, { run: 0, sequence: 0 });
    return target.bytes.subarray(0, end);
  } catch {
    // A foreign file may contain an endlessly nested entry, which must not end the replay.
    return "the entry can't be read";
  }
}

/** What the ledger set aside has fields of its definition only: another one would lose them. */
function unknownField({ entry }: ReplayItem, fields: ReadonlySet<string>): string | undefined {
  const unknown = Object.keys(entry).find((field) => !fields.has(field) && entry[field] != null);
  return unknown === undefined
    ? undefined
    : `${unknown.slice(0, MAX_NAME_LENGTH)} is not a field of this definition: give the one of its ledger with -d <module>`;
}

function brokenRule(codec: RowCodec, entry: Record<string, unknown>): string | undefined {
  const fault = codec.parser.parse(entry, Date.now());
  return fault && `${fault.field} ${fault.rule}`;
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
  // The key makes the uuid; where it needs createdAt too, only the caller knows that.
  if (revived['idempotencyKey'] != null) return revived;
  revived['uuid'] ??= fallbackUuid;
  revived['createdAt'] ??= new Date(queuedAt);
  return revived;
}

/** Retries while the server is unreachable. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isLedgerError(error, 'SINK_TRANSIENT') || attempt === MAX_ATTEMPTS) throw error;
    }
    await delay(retryDelayMs(attempt, RETRY, Math.random()));
  }
}
