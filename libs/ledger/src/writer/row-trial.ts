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

/** Dependencies of trials. @internal */
export interface RowTrialsParts extends AttemptParts {
  /** Called after rows were written, with the attempt's milliseconds. */
  readonly onWritten: (assignment: Assignment, result: WriteResult, ms: number) => void;
}

/** Remaining rows of a trial. @internal */
export interface TrialRest {
  /** Rows that were neither accepted nor refused. */
  readonly undecided: readonly HeldRow[];
  /** Refused rows for which it is unknown whether they or the table are at fault. */
  readonly suspects: readonly HeldRow[];
}

/** Options of a trial. @internal */
export interface TrialOptions {
  /** Whether it is the one attempt that passes the closed gate. */
  readonly isProbe: boolean;
  /** The ledger's only row: a refusal now is final. */
  readonly isLone: boolean;
}

/** The reason of a row's refusal. */
interface Refusal {
  readonly row: HeldRow;
  readonly error: SinkRowError;
}

/** The reason why the gate closes. */
interface Failure {
  readonly error: unknown;
  readonly isHalt: boolean;
  readonly isRowByRow?: boolean;
}

const NOTHING: TrialRest = { undecided: [], suspects: [] };

/**
 * Tries rows, each separately, and settles those whose fate is then known.
 *
 * A refused row itself is at fault if the server accepted another row after its refusal and still
 * refuses it. A fault of the table that begins or ends meanwhile therefore condemns no row.
 *
 * @internal
 */
export class RowTrials {
  /** Rows now under trial. */
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
    // After the deadline nothing waits for the answer.
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

  /** Rows whose uuid another writer used get a new one, and count as untried. */
  #setForeignAside(rows: readonly HeldRow[], result: EachRowResult): EachRowResult {
    const { settler } = this.#parts;
    const foreign = result.conflicts.filter((index) => {
      const { assignment, batch, mayExist } = rows[index]!;
      return !mayExist && settler.renewUuids(assignment, batch, [0]).length > 0;
    });
    const conflicts = result.conflicts.filter((index) => !foreign.includes(index));
    return { ...result, conflicts, untried: [...result.untried, ...foreign] };
  }

  /** Opens or closes the gate according to the server's answer. */
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
    // The attempt began before the table was found at fault: its answer was late.
    if (judge.isHalted) return outage.failed(isProbe, true);
    outage.reached();
    onReached();
  }

  /** @returns refused rows that can't be settled yet */
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
   * Whether an earlier attempt did write the row. Only a match of uuid and content counts. The
   * server has not stored a row that it can't even parse. Undefined: unknown.
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

/** Rows that were accepted, or whose uuid exists. */
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

/** With a single row any refusal concerns that row. */
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
