import type { SinkRowError } from '../errors/sink.errors.js';

/**
 * Distinct rows in succession with the same refusal before the table is considered at fault.
 * Source: contract, "Row fault or table fault": a fault of the schema looks like a poison row that
 * is found again and again.
 */
export const ROWS_OF_A_TABLE_FAULT = 16;

/** The judge's state of a refused row; it belongs to the caller. @internal */
export interface Suspect {
  /** The judge's time of the last refusal; 0 before the first. */
  refusedAt: number;
}

/** Refusals of one kind. */
interface Refusals {
  /** The judge's times, ascending. */
  readonly times: readonly number[];
  /** The first refusal's error. */
  readonly error: SinkRowError;
}

/**
 * Decides for all workers of a ledger whether refused rows or the table are at fault. It uses only
 * the order of events: attempts that begin, are accepted, or are refused.
 *
 * A row has company once an attempt that began after its refusal wrote another row: the server
 * accepted rows at that time. One more attempt then shows whether the row itself is at fault.
 *
 * @internal
 */
export class FaultJudge {
  /** While halted: rows were refused, so the next try should be row by row. */
  isRowByRow = false;
  #time = 0;
  /** Start time of the latest attempt that the server accepted. */
  #takenAt = 0;
  /** Time when the table was last found at fault; undefined if it is not. */
  #haltedAt: number | undefined;
  /** First refusals since the server last accepted a row, by kind. */
  readonly #refusals = new Map<string, Refusals>();

  /** True from the moment the table is found at fault until the server accepts a row. */
  get isHalted(): boolean {
    return this.#haltedAt !== undefined;
  }

  /** True if so many rows in succession had the same refusal that the table must be at fault. */
  get isTableSuspect(): boolean {
    return this.tableError !== undefined;
  }

  /** The error of those rows; undefined if the table is not under suspicion. */
  get tableError(): SinkRowError | undefined {
    for (const { times, error } of this.#refusals.values()) {
      if (times.length >= ROWS_OF_A_TABLE_FAULT) return error;
    }
    return undefined;
  }

  /** @returns the judge's time, for `taken` */
  begin(): number {
    return ++this.#time;
  }

  /**
   * The server accepted rows of an attempt. An attempt that began before a refusal proves nothing
   * about it, because its answer may have been under way.
   *
   * @param beganAt the return value of `begin`
   */
  taken(beganAt: number): void {
    this.#takenAt = Math.max(this.#takenAt, beganAt);
    for (const [kind, { times, error }] of this.#refusals) {
      const later = times.filter((time) => time > beganAt);
      if (later.length > 0) this.#refusals.set(kind, { times: later, error });
      else this.#refusals.delete(kind);
    }
    if (this.#haltedAt !== undefined && beganAt > this.#haltedAt && !this.isTableSuspect) {
      this.#haltedAt = undefined;
    }
  }

  /** A row was refused, for the first time or again. */
  refused(suspect: Suspect, error: SinkRowError): void {
    const isNew = suspect.refusedAt === 0;
    suspect.refusedAt = ++this.#time;
    if (!isNew) return;
    const kind = `${error.sqlState ?? ''} ${error.subject ?? ''}`;
    const before = this.#refusals.get(kind) ?? { times: [], error };
    const times = [...before.times.slice(1 - ROWS_OF_A_TABLE_FAULT), suspect.refusedAt];
    this.#refusals.set(kind, { times, error: before.error });
  }

  /** Whether the server accepted another row since this one was refused. */
  hasCompany({ refusedAt }: Suspect): boolean {
    return this.#takenAt > refusedAt;
  }

  /**
   * The table is at fault: the server refuses all rows.
   * @param isRowByRow it refuses row by row, so that tries should use rows; default: false
   */
  halt({ isRowByRow = false }: { readonly isRowByRow?: boolean } = {}): void {
    this.#haltedAt = ++this.#time;
    this.isRowByRow = isRowByRow;
  }

  /** The table is not at fault: the refused rows are. */
  acquit(): void {
    this.#haltedAt = undefined;
    this.#refusals.clear();
  }
}
