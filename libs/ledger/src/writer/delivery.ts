import type { Batch } from '../channel/batch.js';
import { isSinkHaltError, isSinkRowError, isSinkTransientError } from '../errors/sink.errors.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { LedgerSink, WriteResult } from '../ports/ledger-sink.interface.js';
import type { Clock } from '../clock/clock.js';
import { TOO_MANY_CONNECTIONS, type ConnectionLimit } from './connection-limit.js';
import type { Assignment } from './batch-source.interface.js';
import type { Outage } from './outage.js';
import type { LetterCandidate, Settler } from './settler.js';

/**
 * Rows of one batch that may be refused for one reason before the reason must be the table's, not
 * the rows'. Source: the architecture's rule that a fault of the schema looks like poison.
 */
const MAX_GUILTY_ROWS = 16;

/** Rows of an assignment that are still to be written. */
export interface Rest {
  readonly batch: Batch;
  /** An attempt with unknown outcome held these rows. */
  readonly mayExist: boolean;
}

interface Refusal extends Rest {
  readonly error: SinkRowError;
}

/** What a delivery is made of; shared by all of a ledger's. */
export interface DeliveryParts {
  readonly sink: LedgerSink;
  readonly outage: Outage;
  readonly connections: ConnectionLimit;
  readonly settler: Settler;
  readonly clock: Clock;
  /** Time limit of an attempt that starts now, in milliseconds. */
  readonly attemptMs: () => number;
  /** Told of each failed attempt. */
  readonly onFailed: (error: unknown, isHalt: boolean) => void;
  /** Told whenever the server answered. */
  readonly onReached: () => void;
}

/** Hears of each part of the batch that was written, with the attempt's milliseconds. */
export type OnWritten = (result: WriteResult, ms: number) => void;

/**
 * One batch on its way to the table: attempts until each of its rows is settled. Transient
 * failures are repeated without end; a refused row is set aside and the rest written again; rows
 * are set aside for good only after the rest is in, so that a fault of the table, which refuses
 * row after row, leaves all of them where they are.
 *
 * @internal
 */
export class Delivery {
  /** Attempts made. */
  attempts = 0;
  readonly #parts: DeliveryParts;
  readonly #onWritten: OnWritten;
  readonly #rest: Rest[];
  #refused: Refusal[] = [];
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
    this.#rest = [{ batch: assignment.batch, mayExist: false }];
  }

  /** Resolves when all rows are settled, or the delivery was abandoned. Never rejects. */
  async run(): Promise<void> {
    while (!this.#isAbandoned) {
      const [rest] = this.#rest;
      if (rest === undefined) {
        if (!(await this.#setAside())) return;
        continue;
      }
      await this.#inTurn(rest.batch, (isProbe) => this.#attempt(rest, isProbe));
    }
  }

  /** Attempts when there is a connection to be had, and the server was not just found away. */
  async #inTurn(batch: Batch, attempt: (isProbe: boolean) => Promise<void>): Promise<void> {
    const { outage, connections } = this.#parts;
    await connections.enter(batch.position);
    try {
      const isProbe = await outage.pass(batch.position);
      if (!this.#isAbandoned) await attempt(isProbe);
    } finally {
      connections.leave();
    }
  }

  /** Ends the delivery as soon as possible; `takeRows` has what is not settled then. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#giveUp();
  }

  /** Takes over the rows that are not settled; the delivery itself settles none from now on. */
  takeRows(): Rest[] {
    this.#isClosed = true;
    return [...this.#rest.splice(0), ...this.#refused.splice(0)];
  }

  async #attempt(rest: Rest, isProbe: boolean): Promise<void> {
    const { sink, attemptMs, clock } = this.#parts;
    const startedAt = clock.monotonic();
    this.attempts++;
    try {
      const write = sink.write(rest.batch, {
        timeoutMs: attemptMs(),
        isAwaited: this.assignment.isAwaited,
        mayExist: rest.mayExist,
      });
      const result = await Promise.race([write, this.#abandoned]);
      if (result === undefined) this.#leaveUnknown(write, rest);
      else await this.#written(rest, result, clock.monotonic() - startedAt);
    } catch (error) {
      this.#failed(error, rest, isProbe);
    }
  }

  /** The deadline came before the answer: the rows may be in the table. */
  #leaveUnknown(write: Promise<WriteResult>, rest: Rest): void {
    write.catch(() => undefined);
    this.#rest[0] = { ...rest, mayExist: true };
  }

  async #written(rest: Rest, result: WriteResult, ms: number): Promise<void> {
    const { settler, onReached, outage } = this.#parts;
    outage.reached();
    onReached();
    const conflicts = result.conflicts.map((index) => this.#candidate(rest.batch, index));
    if (conflicts.length > 0) {
      this.#rest[0] = { ...rest, mayExist: true };
      await settler.keep(conflicts);
      if (this.#isClosed) return;
    }
    this.#rest.shift();
    settler.settleWritten(this.assignment, rest.batch, result);
    this.#onWritten(result, ms);
  }

  #candidate(batch: Batch, index: number): LetterCandidate {
    return { batch, index, attempts: this.attempts, reason: 'conflict' };
  }

  #failed(error: unknown, rest: Rest, isProbe: boolean): void {
    const { outage, onFailed, onReached } = this.#parts;
    if (isSinkRowError(error)) {
      outage.reached();
      onReached();
      if (!this.#isolate(error, rest)) this.#halt(error, false);
    } else if (isSinkHaltError(error)) {
      this.#halt(error, isProbe);
    } else {
      const isUnknown = !isSinkTransientError(error) || !error.outcomeKnown;
      if (isUnknown) this.#rest[0] = { ...rest, mayExist: true };
      this.#noteRefusal(error);
      outage.failed(isProbe, false);
      onFailed(error, false);
    }
  }

  #noteRefusal(error: unknown): void {
    const isRefusal = isSinkTransientError(error) && error.sqlState === TOO_MANY_CONNECTIONS;
    if (isRefusal) this.#parts.connections.refused();
  }

  #halt(error: unknown, isProbe: boolean): void {
    this.#parts.outage.failed(isProbe, true);
    this.#parts.onFailed(error, true);
  }

  /** Narrows the rest to the row at fault. @returns false if the fault must be the table's */
  #isolate(error: SinkRowError, rest: Rest): boolean {
    const { batch, mayExist } = rest;
    const number = error.rowNumber ?? (batch.count === 1 ? 1 : undefined);
    if (number === undefined) {
      const middle = batch.count >>> 1;
      const halves = [batch.part(0, middle)!, batch.part(middle, batch.count)!];
      this.#rest.splice(0, 1, ...halves.map((half) => ({ batch: half, mayExist })));
      return true;
    }
    const others = batch.without(number - 1);
    const guilty = batch.part(number - 1, number)!;
    this.#rest.splice(0, 1, ...(others === undefined ? [] : [{ batch: others, mayExist }]));
    this.#refused.push({ batch: guilty, mayExist, error });
    return !this.#isFaultOfTable(error);
  }

  #isFaultOfTable(error: SinkRowError): boolean {
    const alike = this.#refused.filter(
      (each) => each.error.sqlState === error.sqlState && each.error.subject === error.subject,
    );
    if (alike.length <= MAX_GUILTY_ROWS) return false;
    const back = this.#refused.map(({ batch, mayExist }) => ({ batch, mayExist }));
    this.#rest.push(...back);
    this.#refused = [];
    return true;
  }

  /**
   * Keeps the refused rows as dead letters, but for those that an earlier attempt has written
   * after all. @returns false if there is nothing left to do
   */
  async #setAside(): Promise<boolean> {
    const refused = this.#refused;
    const [unsure] = refused.filter(({ mayExist }) => mayExist);
    if (unsure !== undefined) {
      await this.#inTurn(unsure.batch, (isProbe) => this.#settleIfWritten(unsure, isProbe));
      return true;
    }
    if (refused.length === 0) return false;
    const { settler } = this.#parts;
    const letters = refused.map(({ batch, error }): LetterCandidate => ({
      batch,
      index: 0,
      attempts: this.attempts,
      reason: 'refused',
      error,
    }));
    await settler.keep(letters);
    if (this.#isClosed) return false;
    this.#refused = [];
    for (const { batch, error } of refused) {
      settler.settleRefused(this.assignment, batch, error.sqlState);
    }
    return true;
  }

  async #settleIfWritten(refusal: Refusal, isProbe: boolean): Promise<void> {
    const { outage, settler, onReached } = this.#parts;
    try {
      const isThere = await this.#isThere(refusal.batch);
      if (this.#isClosed) return;
      outage.reached();
      onReached();
      const others = this.#refused.filter((each) => each !== refusal);
      this.#refused = isThere ? others : [...others, { ...refusal, mayExist: false }];
      if (!isThere) return;
      const result = { written: 0, duplicates: [0], conflicts: [] };
      settler.settleWritten(this.assignment, refusal.batch, result);
    } catch (error) {
      const isHalt = isSinkHaltError(error);
      this.#noteRefusal(error);
      outage.failed(isProbe, isHalt);
      this.#parts.onFailed(error, isHalt);
    }
  }

  /** Its uuid may be another entry's; and what the server can't even read, it has not taken. */
  async #isThere(batch: Batch): Promise<boolean> {
    const { sink, attemptMs } = this.#parts;
    try {
      return (await sink.find(batch, attemptMs(), true)).length > 0;
    } catch (error) {
      if (isSinkRowError(error)) return false;
      throw error;
    }
  }
}
