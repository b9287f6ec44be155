import type { SinkRowError } from '../errors/sink.errors.js';

/**
 * Distinct rows in succession that the server may refuse alike before the table must be at fault.
 * Source: contract, "Row fault or table fault": a fault of the schema looks like a poison row that is
 * found again and again.
 */
export const ROWS_OF_A_TABLE_FAULT = 16;

/** What the judge keeps of a row that was refused; it belongs to the caller. @internal */
export interface Suspect {
  /** The judge's time of the last refusal; 0 before the first. */
  refusedAt: number;
}

/** Refusals of one kind. */
interface Refusals {
  /** The judge's times, ascending. */
  readonly times: readonly number[];
  /** The first of them. */
  readonly error: SinkRowError;
}

/**
 * Decides for all workers of a ledger whether refused rows or the table are at fault. It knows nothing
 * but the order of events: attempts that begin, are taken, or are refused.
 *
 * A row has company once another row got in by an attempt that began after the row was refused: the
 * server took rows then. Whether the row is at fault itself one more attempt says.
 *
 * @internal
 */
export class FaultJudge {
  /** While halted: rows were refused, so that the next try should be row by row. */
  isRowByRow = false;
  #time = 0;
  /** When the latest attempt began that the server took. */
  #takenAt = 0;
  /** When the table was last found at fault; undefined: it is not. */
  #haltedAt: number | undefined;
  /** First refusals since the server took a row, by their kind. */
  readonly #refusals = new Map<string, Refusals>();

  /** True from the moment when the table is found at fault until the server takes a row again. */
  get isHalted(): boolean {
    return this.#haltedAt !== undefined;
  }

  /** True if so many rows in succession were refused alike that the table must be at fault. */
  get isTableSuspect(): boolean {
    return this.tableError !== undefined;
  }

  /** What those rows were refused for; undefined if the table is not under suspicion. */
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
   * The server took rows of an attempt. One that began before a refusal says nothing of it: its answer
   * may have been under way.
   *
   * @param beganAt what `begin` returned
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

  /** Whether the server took another row since this one was refused. */
  hasCompany({ refusedAt }: Suspect): boolean {
    return this.#takenAt > refusedAt;
  }

  /**
   * The table is at fault: the server refuses whatever comes.
   * @param isRowByRow it does so row by row, so that rows are what to try it with; default: it does not
   */
  halt({ isRowByRow = false }: { readonly isRowByRow?: boolean } = {}): void {
    this.#haltedAt = ++this.#time;
    this.isRowByRow = isRowByRow;
  }

  /** The table is not at fault: what was refused was refused for its own sake. */
  acquit(): void {
    this.#haltedAt = undefined;
    this.#refusals.clear();
  }
}
