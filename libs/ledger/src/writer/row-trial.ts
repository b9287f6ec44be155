import { Batch } from '../channel/batch.js';
import { type SinkHaltError, SinkRowError, SinkTransientError } from '../errors/sink.errors.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { EachRowResult, WriteResult } from '../ports/ledger-sink.interface.js';
import type { AttemptParts } from './attempt-parts.interface.js';
import type { Assignment } from './batch-source.interface.js';
import type { HeldRow } from './held-row.js';
import type { SettledRow } from './settler.js';
import { tableFault } from './table-fault.js';
import { writeOneByOne } from './write-one-by-one.js';

/** What trials are made of. @internal */
export interface RowTrialsParts extends AttemptParts {
  /** Called when rows were written, with the attempt's milliseconds. */
  readonly onWritten: (assignment: Assignment, result: WriteResult, ms: number) => void;
}

/** What is left of a trial. @internal */
export interface TrialRest {
  /** Rows that were neither taken nor refused. */
  readonly undecided: readonly HeldRow[];
  /** Rows that were refused, and nothing says yet whether they or the table are at fault. */
  readonly suspects: readonly HeldRow[];
}

/** How a trial is made. @internal */
export interface TrialOptions {
  /** It is the one attempt that goes out while the gate is closed. */
  readonly isProbe: boolean;
  /** The only row of the ledger: what refuses it now decides. */
  readonly isLone: boolean;
}

/** Why a row was refused, and whether that is the last word. */
interface Refusal {
  readonly row: HeldRow;
  readonly error: SinkRowError;
}

/** Why the gate closes. */
interface Failure {
  readonly error: unknown;
  readonly isHalt: boolean;
  readonly isRowByRow?: boolean;
}

const NOTHING: TrialRest = { undecided: [], suspects: [] };

/**
 * Tries rows, each by itself, and settles those whose fate is known then.
 *
 * A refused row is at fault itself if the server took another row after it had refused this one, and
 * refuses this one still. So a fault of the table that begins or ends meanwhile condemns no row.
 *
 * @internal
 */
export class RowTrials {
  /** Rows under trial now. */
  readonly rows = new Set<HeldRow>();
  readonly #parts: RowTrialsParts;
  #isClosed = false;
  #giveUp: () => void = () => {};
  readonly #abandoned = new Promise<void>((resolve) => (this.#giveUp = resolve));

  constructor(parts: RowTrialsParts) {
    this.#parts = parts;
  }

  /** Ends the trials as soon as possible; their rows stay in `rows`. */
  abandon(): void {
    this.#giveUp();
  }

  /** No row is settled here from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Never rejects. */
  async try(rows: readonly HeldRow[], options: TrialOptions): Promise<TrialRest> {
    const { judge, clock, onWritten } = this.#parts;
    const startedAt = clock.monotonic();
    const beganAt = judge.begin();
    const condemned = new Set(rows.filter((row) => row.error && judge.hasCompany(row)));
    for (const row of rows) {
      this.rows.add(row);
      row.mayExist ||= this.#parts.mayExist(row.batch);
      row.attempts++;
    }
    try {
      const result = await Promise.race([this.#write(rows), this.#abandoned]);
      if (result === undefined) {
        for (const row of rows) row.mayExist = true;
        return NOTHING;
      }
      if (result.written > 0) judge.taken(beganAt);
      const entries = result.written + result.duplicates.length;
      if (entries > 0) onWritten(rows[0]!.assignment, result, clock.monotonic() - startedAt);
      if (options.isLone) for (const row of rows) condemned.add(row);
      return await this.#conclude(rows, result, { ...options, condemned });
    } catch (error) {
      return this.#failed(rows, error, options.isProbe);
    }
  }

  #write(rows: readonly HeldRow[]): Promise<EachRowResult> {
    const { sink, attemptMs } = this.#parts;
    const batch = new Batch(rows.flatMap((row) => row.batch.ranges));
    const attempt = {
      timeoutMs: attemptMs(),
      isAwaited: rows.some(({ assignment }) => assignment.isAwaited),
      mayExist: rows.some((row) => row.mayExist),
    };
    const write = sink.writeEach?.(batch, attempt) ?? writeOneByOne(sink, batch, attempt);
    // After the deadline nobody waits for it.
    write.catch(() => {});
    return write;
  }

  #failed(rows: readonly HeldRow[], error: unknown, isProbe: boolean): TrialRest {
    if (this.#isClosed) return NOTHING;
    const isHalt = isLedgerError(error, 'SINK_HALT');
    const isKnown = isHalt || (isLedgerError(error, 'SINK_TRANSIENT') && error.outcomeKnown);
    if (!isKnown) for (const row of rows) row.mayExist = true;
    this.#parts.connections.noteFailure(error);
    this.#close(isProbe, { error, isHalt });
    return { undecided: this.#release(rows), suspects: [] };
  }

  /** Closes the gate. */
  #close(isProbe: boolean, { error, isHalt, isRowByRow = false }: Failure): void {
    const { outage, judge, onFailed } = this.#parts;
    if (isHalt) judge.halt({ isRowByRow });
    outage.failed(isProbe, isHalt);
    onFailed(error, isHalt);
  }

  #release(rows: readonly HeldRow[]): readonly HeldRow[] {
    for (const row of rows) this.rows.delete(row);
    return rows;
  }

  async #conclude(
    rows: readonly HeldRow[],
    result: EachRowResult,
    options: TrialOptions & { readonly condemned: ReadonlySet<HeldRow> },
  ): Promise<TrialRest> {
    const isTaken = result.written > 0;
    const decided = result.untried.length < rows.length;
    const left = this.#setForeignAside(rows, result);
    const undecided = left.untried.map((index) => rows[index]!);
    const suspects: HeldRow[] = [];
    const guilty: Refusal[] = [];
    let halt: SinkHaltError | undefined;
    for (const { index, error, isCertain } of result.refused) {
      const row = rows[index]!;
      if (isLedgerError(error, 'SINK_HALT') && !isTaken && row.error === undefined) {
        halt ??= error;
        undecided.push(row);
        continue;
      }
      row.error = ofRow(error);
      if (isCertain || options.condemned.has(row)) guilty.push({ row, error: row.error });
      else suspects.push(row);
    }
    for (const row of suspects) this.#parts.judge.refused(row, row.error!);
    if (options.isLone && guilty.length > 0) this.#parts.judge.acquit();
    this.#note({ isTaken, halt, suspect: suspects[0], decided }, options.isProbe);
    this.#release([...undecided, ...suspects]);
    const spared = await this.#settle(rows, left, guilty);
    return { undecided, suspects: [...suspects, ...spared] };
  }

  /** Rows whose uuid somebody else took get another, and count as not tried. */
  #setForeignAside(rows: readonly HeldRow[], result: EachRowResult): EachRowResult {
    const { settler } = this.#parts;
    const foreign = result.conflicts.filter((index) => {
      const { assignment, batch, mayExist } = rows[index]!;
      return !mayExist && settler.renewUuids(assignment, batch, [0]).length > 0;
    });
    const conflicts = result.conflicts.filter((index) => !foreign.includes(index));
    return { ...result, conflicts, untried: [...result.untried, ...foreign] };
  }

  /** Opens the gate or closes it, by what the server said. */
  #note(
    said: {
      readonly isTaken: boolean;
      readonly halt: SinkHaltError | undefined;
      readonly suspect: HeldRow | undefined;
      readonly decided: boolean;
    },
    isProbe: boolean,
  ): void {
    const { judge, outage, onReached } = this.#parts;
    const { isTaken, halt, suspect, decided } = said;
    const isSuspect = judge.isHalted || judge.isTableSuspect;
    if (halt !== undefined) return this.#close(isProbe, { error: halt, isHalt: true });
    if (!decided) return this.#close(isProbe, { error: tooSlow(), isHalt: false });
    if (!isTaken && suspect?.error !== undefined && isSuspect) {
      return this.#close(isProbe, {
        error: tableFault(judge.tableError ?? suspect.error),
        isHalt: true,
        isRowByRow: true,
      });
    }
    if (judge.isHalted && suspect === undefined && !isTaken) judge.acquit();
    // It had begun before the table was found at fault: its answer was late.
    if (judge.isHalted) return outage.failed(isProbe, true);
    outage.reached();
    onReached();
  }

  /** @returns refused rows that can't be settled now */
  async #settle(
    rows: readonly HeldRow[],
    result: EachRowResult,
    guilty: readonly Refusal[],
  ): Promise<readonly HeldRow[]> {
    const { settler } = this.#parts;
    const settled = settledRows(rows, result);
    const spared: HeldRow[] = [];
    for (const { row, error } of guilty) {
      const isThere = await this.#isThere(row);
      if (isThere === undefined) {
        this.#parts.judge.refused(row, error);
        spared.push(row);
      }
      if (isThere === true) settled.push({ row, settlement: { outcome: 'duplicate' } });
      if (isThere === false) settled.push({ row, settlement: refusedFor(error), error });
    }
    const kept = await settler.keepRows(settled);
    if (this.#isClosed) return [];
    this.#release(rows);
    settler.settleRows(kept, result.notStored ?? 0);
    return spared;
  }

  /**
   * Whether an earlier attempt has written it after all. Its uuid may be another entry's; and what the
   * server can't even read, it has not taken. Undefined: nobody knows.
   */
  async #isThere({ batch, mayExist }: HeldRow): Promise<boolean | undefined> {
    if (!(mayExist || this.#parts.mayExist(batch)) || this.#isClosed) return false;
    const { sink, attemptMs } = this.#parts;
    try {
      return (await sink.find(batch, attemptMs(), true)).length > 0;
    } catch (error) {
      if (isLedgerError(error, 'SINK_ROW')) return false;
      this.#close(false, { error, isHalt: isLedgerError(error, 'SINK_HALT') });
      return undefined;
    }
  }
}

/** Rows that were taken, or whose uuid was there. */
function settledRows(rows: readonly HeldRow[], result: EachRowResult): SettledRow[] {
  const refused = new Set([...result.refused.map(({ index }) => index), ...result.untried]);
  const duplicates = new Set(result.duplicates);
  const conflicts = new Set(result.conflicts);
  const settled: SettledRow[] = [];
  for (const [index, row] of rows.entries()) {
    if (refused.has(index)) continue;
    if (conflicts.has(index)) {
      const reason = 'conflict';
      settled.push({ row, settlement: { outcome: 'deadLettered', reason, sqlState: undefined } });
    } else {
      const outcome = duplicates.has(index) ? 'duplicate' : 'written';
      settled.push({ row, settlement: { outcome } });
    }
  }
  return settled;
}

function refusedFor({ sqlState }: SinkRowError): SettledRow['settlement'] {
  return { outcome: 'deadLettered', reason: 'refused', sqlState };
}

/** Of a single row only the row can be meant, whatever the words. */
function ofRow(error: SinkRowError | SinkHaltError): SinkRowError {
  if (!isLedgerError(error, 'SINK_HALT')) return error;
  const { message, sqlState, subject, cause } = error;
  return new SinkRowError(message, {
    cause,
    ...(sqlState === undefined ? {} : { sqlState }),
    ...(subject === undefined ? {} : { subject }),
  });
}

function tooSlow(): SinkTransientError {
  return new SinkTransientError('the time limit left no time for a single row', {
    outcomeKnown: true,
  });
}
