import { formatUuid } from '../codec/uuid.js';
import { SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import type {
  EachRowResult,
  LedgerSink,
  RefusedRow,
  RowBatch,
  WriteAttempt,
  WriteResult,
} from '../ports/ledger-sink.interface.js';

/** Offset of a row's uuid, after the field count (2 bytes) and the field's length (4). */
const UUID_OFFSET = 6;

/**
 * How an attempt fails.
 *
 * - `transient`: `rows` says what becomes of the batch: `none` is written (default), it is `in`
 *   although the answer was lost, or it is written `late`, by `landLate()`. The outcome counts as
 *   known only for `none`, and if `outcomeKnown` is not false.
 * - `row`: nothing is written; `rowNumber` from 1, or undefined if the server names none. A row
 *   that is named or alone is refused from then on, as by `refuse`.
 * - `halt`: nothing is written.
 *
 * @publicApi
 */
export type SinkFault =
  | {
      readonly kind: 'transient';
      readonly rows?: 'none' | 'in' | 'late';
      readonly outcomeKnown?: boolean;
      readonly sqlState?: string;
    }
  | { readonly kind: 'row'; readonly rowNumber?: number; readonly sqlState?: string }
  | { readonly kind: 'halt'; readonly sqlState?: string };

/** One recorded call of `write`. @publicApi */
export interface WriteCall extends WriteAttempt {
  /** Rows of the batch. */
  readonly count: number;
  /** Their uuids, in order. */
  readonly uuids: readonly string[];
  /** True for a call of `writeEach`. */
  readonly isEach?: true;
}

/** A held write; the test ends it. @publicApi */
export interface HeldWrite {
  readonly call: WriteCall;
  /** Continues it: the write succeeds, or fails with the given fault. */
  release(fault?: SinkFault): void;
}

/**
 * A sink in memory that detects duplicates and conflicts, and fails on request. It has no timers,
 * so it also works in virtual time.
 *
 * @publicApi
 */
export class InMemorySink implements LedgerSink {
  /** All calls of `write`, oldest first. */
  readonly calls: WriteCall[] = [];
  /** Writes that wait for `release`, oldest first. */
  readonly held: HeldWrite[] = [];
  readonly #rows = new Map<string, Buffer>();
  readonly #writtenAt = new Map<string, number>();
  readonly #now: () => number;
  readonly #isSame: (one: Buffer, other: Buffer) => boolean;
  readonly #refused = new Map<string, string>();
  readonly #late: Buffer[][] = [];
  readonly #faults: SinkFault[] = [];
  #lasting: SinkFault | undefined;
  #isHolding = false;
  #isClosed = false;

  /**
   * @param now the clock of this sink, in milliseconds since 1970; default: this machine's
   * @param isSame whether two rows of one uuid are duplicates; default: if their bytes are equal
   */
  constructor(
    now: () => number = () => Date.now(),
    isSame: (one: Buffer, other: Buffer) => boolean = (one, other) => one.equals(other),
  ) {
    this.#now = now;
    this.#isSame = isSame;
  }

  /** Committed rows by uuid, in commit order. A live map; do not change it. */
  get rows(): ReadonlyMap<string, Buffer> {
    return this.#rows;
  }

  /** Milliseconds since 1970 at which a row was committed; undefined if it was not. */
  writtenAt(uuid: string): number | undefined {
    return this.#writtenAt.get(uuid);
  }

  /** True after `close`. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Makes the next `times` attempts (default 1) fail; calls add up. */
  failNext(fault: SinkFault, times = 1): void {
    for (let i = 0; i < times; i += 1) this.#faults.push(fault);
  }

  /** Makes every attempt fail, `prepare` and `ping` included, until called with `undefined`. */
  failAlways(fault: SinkFault | undefined): void {
    this.#lasting = fault;
  }

  /**
   * From now on, batches with this uuid are refused, and the error names its row. @param sqlState
   * default 23514
   */
  refuse(uuid: string, sqlState = '23514'): void {
    this.#refused.set(uuid, sqlState);
  }

  /** The row is no longer refused. */
  accept(uuid: string): void {
    this.#refused.delete(uuid);
  }

  /** From now on, writes wait in `held`, until `hold(false)`. Held writes remain held. */
  hold(isHolding = true): void {
    this.#isHolding = isHolding;
  }

  /** Commits the `late` batches of failed attempts. @returns number of attempts */
  landLate(): number {
    const landed = this.#late.splice(0);
    for (const rows of landed) this.#insert(rows);
    return landed.length;
  }

  async prepare(): Promise<void> {
    if (this.#lasting) throw errorOf(this.#lasting);
  }

  async find(batch: RowBatch, _timeoutMs: number, isSame = false): Promise<readonly number[]> {
    if (this.#lasting) throw errorOf(this.#lasting);
    const indexes = Array.from({ length: batch.count }, (_, index) => index);
    return indexes.filter((index) => {
      const row = batch.row(index);
      const stored = this.#rows.get(uuidOf(row));
      return stored !== undefined && (!isSame || this.#isSame(stored, row));
    });
  }

  async ping(_timeoutMs: number): Promise<void> {
    if (this.#lasting) throw errorOf(this.#lasting);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async write(batch: RowBatch, attempt: WriteAttempt): Promise<WriteResult> {
    const rows = Array.from({ length: batch.count }, (_, index) => Buffer.from(batch.row(index)));
    const call = { ...attempt, count: batch.count, uuids: rows.map(uuidOf) };
    this.calls.push(call);
    const told = this.#isHolding ? await this.#wait(call) : undefined;
    const fault = told ?? this.#faults.shift() ?? this.#lasting;
    if (fault) throw this.#fail(fault, rows);
    return this.#commit(rows, call);
  }

  async writeEach(batch: RowBatch, attempt: WriteAttempt): Promise<EachRowResult> {
    const rows = Array.from({ length: batch.count }, (_, index) => Buffer.from(batch.row(index)));
    const call = { ...attempt, count: batch.count, uuids: rows.map(uuidOf), isEach: true as const };
    this.calls.push(call);
    const told = this.#isHolding ? await this.#wait(call) : undefined;
    const fault = told ?? this.#faults.shift();
    const general = fault ?? this.#lasting;
    if (general !== undefined && general.kind !== 'row') throw this.#fail(general, rows);
    const refused: RefusedRow[] = [];
    const result = { written: 0, duplicates: [] as number[], conflicts: [] as number[] };
    for (const [index, uuid] of call.uuids.entries()) {
      const error = this.#refusalOf(index, uuid, fault);
      if (error !== undefined) {
        refused.push({ index, error, isCertain: false });
        continue;
      }
      const one = this.#insert([rows[index]!]);
      result.written += one.written;
      if (one.duplicates.length > 0) result.duplicates.push(index);
      if (one.conflicts.length > 0) result.conflicts.push(index);
    }
    const isCertain = result.written > 0;
    return { ...result, refused: refused.map((each) => ({ ...each, isCertain })), untried: [] };
  }

  #refusalOf(index: number, uuid: string, fault: SinkFault | undefined): SinkRowError | undefined {
    const sqlState = this.#refused.get(uuid);
    if (sqlState !== undefined) return refusal({ sqlState });
    if (fault?.kind === 'row' && index === (fault.rowNumber ?? 1) - 1) {
      this.refuse(uuid, fault.sqlState);
      return refusal(fault);
    }
    return this.#lasting?.kind === 'row' ? refusal(this.#lasting) : undefined;
  }

  #wait(call: WriteCall): Promise<SinkFault | undefined> {
    return new Promise((resolve) => {
      const held: HeldWrite = {
        call,
        release: (fault) => {
          const index = this.held.indexOf(held);
          if (index >= 0) this.held.splice(index, 1);
          resolve(fault);
        },
      };
      this.held.push(held);
    });
  }

  #fail(fault: SinkFault, rows: Buffer[]): Error {
    if (fault.kind === 'transient') {
      if (fault.rows === 'in') this.#insert(rows);
      if (fault.rows === 'late') this.#late.push(rows);
    } else if (fault.kind === 'row' && fault !== this.#lasting) {
      const row = rows.length === 1 ? rows[0] : rows[(fault.rowNumber ?? 0) - 1];
      if (row !== undefined) this.refuse(uuidOf(row), fault.sqlState);
    }
    return errorOf(fault);
  }

  #commit(rows: readonly Buffer[], call: WriteCall): WriteResult {
    for (const [index, uuid] of call.uuids.entries()) {
      const sqlState = this.#refused.get(uuid);
      if (sqlState) throw errorOf({ kind: 'row', rowNumber: index + 1, sqlState });
    }
    return this.#insert(rows);
  }

  #insert(rows: readonly Buffer[]): WriteResult {
    const duplicates: number[] = [];
    const conflicts: number[] = [];
    for (const [index, row] of rows.entries()) {
      const uuid = uuidOf(row);
      const stored = this.#rows.get(uuid);
      if (!stored) {
        this.#rows.set(uuid, row);
        this.#writtenAt.set(uuid, this.#now());
      } else (this.#isSame(stored, row) ? duplicates : conflicts).push(index);
    }
    return { written: rows.length - duplicates.length - conflicts.length, duplicates, conflicts };
  }
}

type RowFault = Extract<SinkFault, { kind: 'row' }>;

function uuidOf(row: Buffer): string {
  return formatUuid(row, UUID_OFFSET);
}

function errorOf(fault: SinkFault): Error {
  switch (fault.kind) {
    case 'transient': {
      const outcomeKnown = (fault.rows ?? 'none') === 'none' && fault.outcomeKnown !== false;
      const sqlState = fault.sqlState ?? '57P01';
      return new SinkTransientError('the test made the sink fail', { outcomeKnown, sqlState });
    }
    case 'row':
      return refusal(fault);
    case 'halt':
      return new SinkHaltError('the test made the sink halt', {
        sqlState: fault.sqlState ?? '42P01',
      });
  }
}

function refusal({ rowNumber, sqlState = '23514' }: Omit<RowFault, 'kind'>): SinkRowError {
  return new SinkRowError('the test made the sink refuse a row', {
    sqlState,
    ...(rowNumber === undefined ? {} : { rowNumber }),
  });
}
