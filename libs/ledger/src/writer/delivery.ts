import { Batch } from '../channel/batch.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { AttemptParts } from './attempt-parts.interface.js';
import type { Assignment } from './batch-source.interface.js';
import { rowsOf, type HeldRow } from './held-row.js';
import type { HeldRows } from './held-rows.js';
import type { LetterCandidate } from './settler.js';
import { tableFault } from './table-fault.js';

/** Rows of an assignment that are not yet written. */
export interface Rest {
  readonly batch: Batch;
  /** An attempt of unknown outcome contained these rows. */
  readonly mayExist: boolean;
}

/** Dependencies of a delivery, shared by all of a ledger's. */
export interface DeliveryParts extends AttemptParts {
  readonly held: HeldRows;
}

/** Called for each written part of the batch, with the attempt's milliseconds. */
export type OnWritten = (result: WriteResult, ms: number) => void;

/**
 * Delivers one batch to the table: attempts until each of its rows is settled or held. Transient
 * failures are repeated without a limit. A refused row is held, and the rest is written again. If
 * the search for refused rows takes too many attempts, or the table is under suspicion, each
 * remaining row is tried separately.
 *
 * @internal
 */
export class Delivery {
  /** Attempts made. */
  attempts = 0;
  readonly #parts: DeliveryParts;
  readonly #onWritten: OnWritten;
  #rest: Rest[];
  /** Attempts since the first row was refused. */
  #searches = 0;
  readonly #mostSearches: number;
  #isAbandoned = false;
  #isClosed = false;
  #giveUp: () => void = () => {};
  readonly #abandoned = new Promise<void>((resolve) => (this.#giveUp = resolve));

  constructor(
    readonly assignment: Assignment,
    parts: DeliveryParts,
    onWritten: OnWritten,
  ) {
    this.#parts = parts;
    this.#onWritten = onWritten;
    this.#rest = [{ batch: assignment.batch, mayExist: assignment.mayExist ?? false }];
    this.#mostSearches = mostSearches(assignment.batch.count);
  }

  /** Resolves when all rows are settled or held, or the delivery was abandoned. Never rejects. */
  async run(): Promise<void> {
    const { outage, connections, held } = this.#parts;
    for (let rest = this.#rest[0]; rest && !this.#isAbandoned; rest = this.#rest[0]) {
      await connections.enter(rest.batch.position);
      try {
        const isProbe = await outage.pass(rest.batch.position);
        if (this.#isAbandoned) return;
        if (this.#isTrialDue(isProbe)) await this.#tryEach(isProbe);
        else await this.#attempt(this.#first(), isProbe);
      } finally {
        connections.leave();
      }
    }
    if (held.searching.delete(this.assignment)) held.look();
  }

  /** Ends the delivery as soon as possible; `takeRows` then returns the unsettled rows. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#giveUp();
  }

  /** Takes over the unsettled rows; the delivery settles none from now on. */
  takeRows(): Rest[] {
    this.#isClosed = true;
    return this.#rest.splice(0);
  }

  #isTrialDue(isProbe: boolean): boolean {
    const { judge, sink } = this.#parts;
    if (judge.isHalted) return isProbe && judge.isRowByRow;
    if (sink.writeEach === undefined) return false;
    return judge.isTableSuspect || this.#searches >= this.#mostSearches;
  }

  /** Tries each row separately: all of the rest, or a few while the ledger is halted. */
  async #tryEach(isProbe: boolean): Promise<void> {
    const { judge, held } = this.#parts;
    const most = judge.isHalted ? held.probeRows : Number.POSITIVE_INFINITY;
    const rows = this.#takeFirst(most);
    const left = await held.tryWith(rows, isProbe);
    if (this.#isClosed) return;
    this.attempts++;
    const rest = [false, true].flatMap((mayExist) => restOf(left, mayExist));
    this.#rest.unshift(...rest);
  }

  #first(): Rest {
    const { batch, mayExist } = this.#rest[0]!;
    return (this.#rest[0] = { batch, mayExist: mayExist || this.#parts.mayExist(batch) });
  }

  #takeFirst(most: number): HeldRow[] {
    const { assignment, attempts } = this;
    const taken: HeldRow[] = [];
    const rest: Rest[] = [];
    for (const { batch, mayExist } of this.#rest) {
      const count = Math.max(0, Math.min(batch.count, most - taken.length));
      const first = batch.part(0, count);
      const others = batch.part(count, batch.count);
      if (first) taken.push(...rowsOf(first, { assignment, attempts, mayExist }));
      if (others) rest.push({ batch: others, mayExist });
    }
    this.#rest = rest;
    return taken;
  }

  async #attempt(rest: Rest, isProbe: boolean): Promise<void> {
    const { sink, attemptMs, clock, judge } = this.#parts;
    const startedAt = clock.monotonic();
    const beganAt = judge.begin();
    this.attempts++;
    if (this.#searches > 0) this.#searches++;
    try {
      const write = sink.write(rest.batch, {
        timeoutMs: attemptMs(),
        isAwaited: this.assignment.isAwaited,
        mayExist: rest.mayExist,
      });
      const result = await Promise.race([write, this.#abandoned]);
      if (result === undefined) return this.#leaveUnknown(write, rest);
      this.#reached(beganAt, isProbe);
      await this.#written(rest, result, clock.monotonic() - startedAt);
    } catch (error) {
      this.#failed(error, rest, isProbe);
    }
  }

  /** The deadline came before the answer, so the table may contain the rows. */
  #leaveUnknown(write: Promise<WriteResult>, rest: Rest): void {
    write.catch(() => undefined);
    this.#rest[0] = { ...rest, mayExist: true };
  }

  /** The server accepted a batch. */
  #reached(beganAt: number, isProbe: boolean): void {
    const { judge, outage, held, onReached } = this.#parts;
    judge.taken(beganAt);
    held.look();
    // The attempt began before the table was found at fault: its answer was late.
    if (judge.isHalted) return outage.failed(isProbe, true);
    outage.reached();
    onReached();
  }

  async #written(rest: Rest, written: WriteResult, ms: number): Promise<void> {
    const { settler } = this.#parts;
    const { batch, result } = this.#setForeignAside(rest, written);
    if (batch === undefined) return;
    const conflicts = result.conflicts.map((index) => this.#conflict(batch, index));
    let lost: readonly LetterCandidate[] = [];
    if (conflicts.length > 0) {
      this.#rest[0] = { batch, mayExist: true };
      lost = await settler.keep(conflicts);
      if (this.#isClosed) return;
    }
    this.#rest.shift();
    const lostRows = lost.map(({ index }) => index);
    settler.settleWritten(this.assignment, batch, result, lostRows);
    this.#onWritten(result, ms);
  }

  /**
   * Rows whose uuid another writer used get a new uuid and are written again; `#rest` begins with
   * the others.
   * @returns the others; no batch if there are none
   */
  #setForeignAside(
    { batch, mayExist }: Rest,
    result: WriteResult,
  ): { readonly batch: Batch | undefined; readonly result: WriteResult } {
    const { settler } = this.#parts;
    if (mayExist || result.conflicts.length === 0) return { batch, result };
    const renewed = settler.renewUuids(this.assignment, batch, result.conflicts);
    if (renewed.length === 0) return { batch, result };
    const [foreign, others] = batch.split(renewed);
    const rests = [others, foreign].flatMap((part) => (part ? [{ batch: part, mayExist }] : []));
    this.#rest.splice(0, 1, ...rests);
    return { batch: others, result: withoutRows(result, renewed) };
  }

  #conflict(batch: Batch, index: number): LetterCandidate {
    return { batch, index, attempts: this.attempts, reason: 'conflict' };
  }

  #failed(error: unknown, rest: Rest, isProbe: boolean): void {
    const { outage, onFailed, judge, connections } = this.#parts;
    if (isLedgerError(error, 'SINK_ROW')) return this.#refused(error, rest, isProbe);
    const isHalt = isLedgerError(error, 'SINK_HALT');
    if (isHalt) judge.halt();
    else if (!isLedgerError(error, 'SINK_TRANSIENT') || !error.outcomeKnown) {
      this.#rest[0] = { ...rest, mayExist: true };
    }
    connections.noteFailure(error);
    outage.failed(isProbe, isHalt);
    onFailed(error, isHalt);
  }

  /** Narrows the rest to the row at fault, and reports whether the table is at fault. */
  #refused(error: SinkRowError, rest: Rest, isProbe: boolean): void {
    const { judge, outage, onFailed, onReached, sink, held } = this.#parts;
    this.#searches ||= 1;
    held.searching.add(this.assignment);
    this.#isolate(error, rest);
    const canCheck = sink.writeEach !== undefined && this.#rest.length > 0;
    if (judge.isHalted || (judge.isTableSuspect && !canCheck)) {
      judge.halt({ isRowByRow: true });
      outage.failed(isProbe, true);
      onFailed(tableFault(judge.tableError ?? error), true);
    } else {
      outage.reached();
      onReached();
    }
  }

  #isolate(error: SinkRowError, { batch, mayExist }: Rest): void {
    const number = error.rowNumber ?? (batch.count === 1 ? 1 : undefined);
    if (number === undefined) {
      const middle = batch.count >>> 1;
      const halves = [batch.part(0, middle)!, batch.part(middle, batch.count)!];
      this.#rest.splice(0, 1, ...halves.map((half) => ({ batch: half, mayExist })));
      return;
    }
    const others = batch.without(number - 1);
    this.#rest.splice(0, 1, ...(others === undefined ? [] : [{ batch: others, mayExist }]));
    const { assignment, attempts } = this;
    const [row] = rowsOf(batch.part(number - 1, number)!, { assignment, attempts, mayExist });
    this.#parts.held.hold(row!, error);
  }
}

/**
 * Attempts at parts of a batch of n rows before each row is tried separately: enough to find one
 * row by halving, or several that the server names. Source: contract, "Row fault or table fault".
 */
function mostSearches(count: number): number {
  return 2 * Math.ceil(Math.log2(Math.max(2, count))) + 32;
}

/** The rows with this outcome as one batch, if there are any. */
function restOf(rows: readonly HeldRow[], mayExist: boolean): Rest[] {
  const ranges = rows
    .filter((row) => row.mayExist === mayExist)
    .flatMap(({ batch }) => batch.ranges);
  return ranges.length === 0 ? [] : [{ batch: new Batch(ranges), mayExist }];
}

/** The result of a batch without some conflicting rows. @param left their indexes, ascending */
function withoutRows(result: WriteResult, left: readonly number[]): WriteResult {
  const isLeft = new Set(left);
  const indexes = (of: readonly number[]): number[] =>
    of
      .filter((index) => !isLeft.has(index))
      .map((index) => index - left.filter((each) => each < index).length);
  const { duplicates, conflicts } = result;
  return { ...result, duplicates: indexes(duplicates), conflicts: indexes(conflicts) };
}
