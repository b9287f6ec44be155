import type { DueReason } from '../ports/ledger-stats.interface.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import type { LedgerSink, WriteResult } from '../ports/ledger-sink.interface.js';
import { callBack } from '../stats/call-back.js';
import type { Counters } from '../stats/counters.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { LastFlush } from '../ports/ledger-stats.interface.js';
import type { Status } from '../stats/status.js';
import { WriteTally } from '../stats/write-tally.js';
import { atMost, type Clock } from '../clock/clock.js';
import { ConnectionLimit } from './connection-limit.js';
import type { AttemptParts } from './attempt-parts.interface.js';
import type { Delivery } from './delivery.js';
import { FaultJudge } from './fault-judge.js';
import { HeldRows } from './held-rows.js';
import type { Assignment, BatchSource, RecoverySource } from './batch-source.interface.js';
import type { Outage } from './outage.js';
import type { Leftover } from './leftover.js';
import { SettledLine } from './settled-line.js';
import type { Settler } from './settler.js';
import { TroubleReporter } from './trouble-reporter.js';
import { flushOf, Worker } from './worker.js';

/** Extra time, after one attempt and one pause, before workers without progress count as stuck. */
const STUCK_GRACE_MS = 5000;
/** Time for an abandoned attempt to end before its rows are taken over. */
const ABANDON_GRACE_MS = 100;

/**
 * Receives each flush, for histograms: entries, duration and why the batch was due. Called once for
 * each committed write, after its entries are settled.
 *
 * @publicApi
 */
export type FlushListener = (flush: LastFlush & { readonly due: DueReason }) => void;

/** Dependencies of the batch writer. */
export interface BatchWriterParts {
  readonly source: BatchSource;
  /** Rows of earlier runs, which `source` delivers in addition to its own. */
  readonly recovery?: RecoverySource | undefined;
  readonly outage: Outage;
  readonly settler: Settler;
  readonly sink: LedgerSink;
  readonly counters: Counters;
  readonly status: Status;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly numWorkers: number;
  readonly writeTimeoutMs: number;
  readonly retryMaxMs: number;
}

/**
 * The workers and their shared state: starts them once the sink is ready, waits until entries are
 * settled, and takes their rows back at the drain deadline.
 *
 * @internal
 */
export class BatchWriter {
  lastFlush: LastFlush | null = null;
  /** Number of workers, before and after the start. */
  get numWorkers(): number {
    return this.#numWorkers;
  }

  /** Whether the sink was ever ready. */
  isPrepared = false;
  /** Batches, flushes and retries so far. */
  readonly tally = new WriteTally();
  readonly #parts: BatchWriterParts;
  /** Includes retired workers until their batch is settled. */
  readonly #workers: Worker[] = [];
  readonly #onStarted: (() => void)[] = [];
  #peakBusy = 0;
  readonly #connections: ConnectionLimit;
  readonly #trouble: TroubleReporter;
  readonly #settled: SettledLine;
  readonly #held: HeldRows;
  readonly #attempts: AttemptParts;
  readonly #listeners = new Set<FlushListener>();
  #numWorkers: number;
  #progressAt: number;
  #deadline = Number.POSITIVE_INFINITY;
  #isAbandoned = false;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** Ended deliveries whose rows will be taken back. */
  #ended: readonly Delivery[] = [];

  constructor(parts: BatchWriterParts) {
    this.#parts = parts;
    const { clock, status, logger } = parts;
    this.#numWorkers = parts.numWorkers;
    this.#progressAt = clock.monotonic();
    this.#connections = new ConnectionLimit({
      clock,
      logger,
      numWorkers: () => this.numWorkers,
    });
    this.#trouble = new TroubleReporter(status, logger, clock);
    this.#settled = new SettledLine(clock, () => this.#settledUntil());
    this.#attempts = this.#attemptParts();
    const { source, settler, retryMaxMs } = parts;
    source.whenUnreadable?.((assignment) => {
      settler.settleUnreadable(assignment);
      this.#checkSettled();
    });
    const onSettled = (): void => this.#checkSettled();
    this.#held = new HeldRows({
      ...this.#attempts,
      source,
      logger,
      retryMaxMs,
      onSettled,
      onWritten: (assignment, result, ms) => this.#noteFlush(assignment, result, ms),
    });
  }

  /** Parts shared by workers and held rows. */
  #attemptParts(): AttemptParts {
    const { clock, sink, source, outage, settler, counters } = this.#parts;
    return {
      sink,
      outage,
      judge: new FaultJudge(),
      connections: this.#connections,
      settler,
      clock,
      attemptMs: () => this.#attemptMs(),
      mayExist: (batch) => source.mayExist?.(batch) === true,
      onFailed: (error: unknown, isHalt: boolean) => {
        counters.retries++;
        this.tally.noteRetry(error, isHalt);
        this.#progressAt = clock.monotonic();
        this.#trouble.failed(error, isHalt);
      },
      onReached: () => {
        this.#progressAt = clock.monotonic();
        this.#trouble.reached();
      },
    };
  }

  /** Rows that were taken back are not settled here: their new owner reports their fate. */
  #checkSettled(): void {
    if (!this.#isAbandoned) this.#settled.check();
  }

  #worker(index: number): Worker {
    const { source, clock, logger } = this.#parts;
    const delivery = { ...this.#attempts, held: this.#held };
    const onWritten = (assignment: Assignment, result: WriteResult, ms: number): void =>
      this.#noteFlush(assignment, result, ms);
    const onDone = (): void => this.#checkSettled();
    const onAssigned = (due: DueReason): void => {
      this.#progressAt = clock.monotonic();
      this.tally.noteBatch(due);
      this.#peakBusy = Math.max(this.#peakBusy, this.busyWorkers + 1);
    };
    return new Worker(index, { source, delivery, clock, logger, onAssigned, onWritten, onDone });
  }

  #attemptMs(): number {
    const { clock, writeTimeoutMs } = this.#parts;
    return Math.max(1, Math.min(writeTimeoutMs, this.#deadline - clock.monotonic()));
  }

  #noteFlush(assignment: Assignment, result: WriteResult, ms: number): void {
    const entries = result.written + result.duplicates.length;
    const flush = flushOf(entries, ms, this.#parts.clock.now());
    this.lastFlush = flush;
    this.tally.noteFlush(entries, ms);
    for (const listener of this.#listeners) {
      // The batch is written, so a listener's error must not fail its delivery.
      callBack(this.#parts.counters, () => listener({ ...flush, due: assignment.due }));
    }
  }

  /** Calls a listener after each flush from now on. @returns a function that removes it */
  onFlush(listener: FlushListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Workers with a batch in flight. */
  get busyWorkers(): number {
    return this.#workers.filter((worker) => worker.delivery !== undefined).length;
  }

  /** Monotonic milliseconds of the oldest entry in flight; undefined if there is none. */
  get oldestInFlightAt(): number | undefined {
    const times = this.#workers.flatMap(({ delivery }) =>
      delivery === undefined ? [] : [delivery.assignment.batch.oldestAt],
    );
    const oldest = Math.min(this.#held.oldestAt, ...times);
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest;
  }

  /** Whether the last attempt failed. */
  get isRetrying(): boolean {
    return this.#parts.outage.isOn;
  }

  /**
   * Whether entries are due or in flight, but no attempt has ended for longer than one may take.
   */
  get isStuck(): boolean {
    const { source, clock, writeTimeoutMs, retryMaxMs } = this.#parts;
    const { dueAt } = source;
    if (!this.isPrepared || dueAt === undefined) return false;
    const idleMs = clock.monotonic() - Math.max(this.#progressAt, dueAt);
    return idleMs > writeTimeoutMs + retryMaxMs + STUCK_GRACE_MS;
  }

  /**
   * Waits without a limit until the sink is ready, then starts the workers.
   * @param onFailed called after each failed try
   * @returns resolves when the workers run, or at the drain deadline
   */
  async start(onFailed: (error: unknown) => void): Promise<void> {
    const { sink, outage } = this.#parts;
    while (!this.#isAbandoned && !this.isPrepared) {
      const isProbe = await outage.pass(0);
      if (this.#isAbandoned) return;
      try {
        await sink.prepare(this.#stop.signal);
        this.isPrepared = true;
      } catch (error) {
        if (this.#isAbandoned) return;
        outage.failed(isProbe, isLedgerError(error, 'SINK_HALT'));
        this.#trouble.failed(error, isLedgerError(error, 'SINK_HALT'));
        onFailed(error);
      }
    }
    if (this.#isAbandoned) return;
    this.#progressAt = this.#parts.clock.monotonic();
    outage.reached();
    this.#trouble.reached();
    this.#match();
    this.#parts.recovery?.start();
    for (const callback of this.#onStarted.splice(0)) callback();
  }

  /** Calls back once, when the workers run; must not throw. */
  whenStarted(callback: () => void): void {
    this.#onStarted.push(callback);
  }

  /**
   * Changes the number of workers, before the start or later. New workers begin at once. Surplus
   * workers take no further batch and end when theirs is settled.
   *
   * @param numWorkers at least 1
   */
  resize(numWorkers: number): void {
    this.#numWorkers = numWorkers;
    if (this.isPrepared && !this.#isAbandoned) this.#match();
  }

  /** Starts or retires workers until their number is right. */
  #match(): void {
    const working = this.#workers.filter(({ isRetired }) => !isRetired);
    for (const worker of working.slice(this.#numWorkers)) worker.retire();
    for (let missing = this.#numWorkers - working.length; missing > 0; missing--) this.#addWorker();
  }

  /**
   * Reuses a retiring worker if there is one, so that there are never more connections than
   * workers.
   */
  #addWorker(): void {
    const retiring = this.#workers.find(
      ({ isRetired, delivery }) => isRetired && delivery !== undefined,
    );
    if (retiring !== undefined) return retiring.stay();
    const worker = this.#worker(this.#freeIndex());
    this.#workers.push(worker);
    const run = worker.run().then(() => {
      this.#running.delete(run);
      if (!this.#isAbandoned) this.#workers.splice(this.#workers.indexOf(worker), 1);
    });
    this.#running.add(run);
  }

  #freeIndex(): number {
    let index = 0;
    while (this.#workers.some((worker) => worker.index === index)) index++;
    return index;
  }

  /** The most workers with a batch in flight at once, since the last call. */
  takePeakBusy(): number {
    const peak = Math.max(this.#peakBusy, this.busyWorkers);
    this.#peakBusy = 0;
    return peak;
  }

  /**
   * Waits until every entry accepted so far is settled.
   * @returns false if `timeoutMs` passed first
   */
  flush(timeoutMs: number): Promise<boolean> {
    const { source } = this.#parts;
    const { tail } = source;
    source.flushUntil(tail);
    return this.#settled.wait(tail, timeoutMs);
  }

  /** From now on each entry is due at once, and an unreachable server is tried at once. */
  drainFrom(): void {
    this.#parts.outage.hurry();
    this.#held.look();
    this.#parts.source.drain();
  }

  /** Limits attempts that begin from now on to the time left. @param deadline monotonic */
  limit(deadline: number): void {
    this.#deadline = deadline;
  }

  /** Ends all deliveries and takes back unsettled rows, oldest first. Never rejects. */
  async abandon(): Promise<Leftover[]> {
    const { source, outage, clock } = this.#parts;
    this.#isAbandoned = true;
    this.#stop.abort();
    source.stop();
    this.#ended = this.#deliveries;
    for (const delivery of this.#ended) delivery.abandon();
    this.#held.abandon();
    this.#connections.lift();
    outage.reached();
    await atMost(clock, ABANDON_GRACE_MS, Promise.all(this.#running));
    return this.takeBack();
  }

  get #deliveries(): Delivery[] {
    return this.#workers.flatMap(({ delivery }) => delivery ?? []);
  }

  /** Takes back unsettled rows at once, oldest first: deliveries settle no row from now on. */
  takeBack(): Leftover[] {
    this.#isAbandoned = true;
    // A recovery that continues would treat rows as written that are only counted as left, and
    // remove their file.
    this.#parts.source.stop();
    const deliveries = new Set([...this.#ended, ...this.#deliveries]);
    for (const delivery of deliveries) delivery.abandon();
    this.#held.abandon();
    const leftovers = [...deliveries].flatMap((delivery) => leftoversOf(delivery));
    const { source, recovery } = this.#parts;
    if (source.leave !== undefined) {
      this.#held.takeRows();
      source.leave();
      return [];
    }
    const waiting = source.takeAll().map((assignment): Leftover => {
      const { batch, keptIn } = assignment;
      const kept = keptIn === undefined ? {} : { keptIn };
      return { assignment, batch, mayExist: false, attempts: 0, ...kept };
    });
    return [...leftovers, ...this.#held.takeRows(), ...waiting]
      .map((each) => {
        if (recovery?.owns(each.batch) !== true) return each;
        return { ...each, keptIn: recovery.fileOf(each.batch) };
      })
      .sort((a, b) => a.batch.position - b.batch.position);
  }

  /** Ends every waiting flush. @param isSettled whether all rows taken back were kept */
  endFlushes(isSettled: boolean): void {
    this.#settled.end(isSettled);
  }

  #settledUntil(): number {
    const inFlight = this.#workers.flatMap(({ delivery }) =>
      delivery === undefined ? [] : [delivery.assignment.batch.position],
    );
    return Math.min(this.#parts.source.head, this.#held.position, ...inFlight);
  }
}

function leftoversOf(delivery: Delivery): Leftover[] {
  const { assignment, attempts } = delivery;
  return delivery.takeRows().map((rest) => ({ ...rest, assignment, attempts }));
}
