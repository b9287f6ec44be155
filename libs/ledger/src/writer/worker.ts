import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { DueReason, LastFlush } from '../ports/ledger-stats.interface.js';
import type { Clock } from '../clock/clock.js';
import { Delivery, type DeliveryParts } from './delivery.js';
import type { Assignment, BatchSource } from './batch-source.interface.js';

/** By the contract a worker writes at most one flush line a second. */
const FLUSH_LINE_MS = 1000;

/** Dependencies of a worker. */
export interface WorkerParts {
  readonly source: BatchSource;
  readonly delivery: DeliveryParts;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Called when the worker got a batch, with the reason why it was due. */
  readonly onAssigned: (due: DueReason) => void;
  /** Called for each written part of a batch, with the attempt's milliseconds. */
  readonly onWritten: (assignment: Assignment, result: WriteResult, ms: number) => void;
  /** Called when a batch was settled. */
  readonly onDone: () => void;
}

/** One loop with at most one batch in flight; not a thread. @internal */
export class Worker {
  /** The batch in flight; undefined while the worker is idle. */
  delivery: Delivery | undefined;
  /** From 0, as in the log. */
  readonly index: number;
  readonly #parts: WorkerParts;
  #loggedAt = Number.NEGATIVE_INFINITY;
  #isRetired = false;
  #accept: ((assignment: Assignment | undefined) => void) | undefined;

  constructor(index: number, parts: WorkerParts) {
    this.index = index;
    this.#parts = parts;
  }

  /** Whether it takes no batch after its present one. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Takes no further batch, and ends when the one in flight is settled. May be called again. */
  retire(): void {
    this.#isRetired = true;
    if (this.#accept !== undefined) this.#parts.source.withdraw(this.#accept);
  }

  /** Revokes `retire` while it still has a batch. */
  stay(): void {
    this.#isRetired = false;
  }

  /** Takes and delivers batches until the source ends it or it retires. Never rejects. */
  async run(): Promise<void> {
    const { source, onDone } = this.#parts;
    while (!this.#isRetired) {
      const delivery = await this.#next();
      if (delivery === undefined) return;
      await delivery.run();
      this.delivery = undefined;
      source.done(delivery.assignment);
      onDone();
    }
  }

  /**
   * The delivery is created in the same turn in which its rows leave the channel, so that no row is
   * overlooked.
   */
  #next(): Promise<Delivery | undefined> {
    return new Promise((resolve) => {
      this.#accept = (assignment) => {
        this.#accept = undefined;
        this.delivery = assignment && this.#deliver(assignment);
        resolve(this.delivery);
      };
      this.#parts.source.next(this.#accept);
    });
  }

  #deliver(assignment: Assignment): Delivery {
    const { delivery, onAssigned, onWritten } = this.#parts;
    onAssigned(assignment.due);
    return new Delivery(assignment, delivery, (result, ms) => {
      onWritten(assignment, result, ms);
      this.#logFlush(result.written + result.duplicates.length, assignment.batch.count, ms);
    });
  }

  #logFlush(entries: number, of: number, ms: number): void {
    const { clock, logger } = this.#parts;
    const now = clock.monotonic();
    if (now - this.#loggedAt < FLUSH_LINE_MS) return;
    this.#loggedAt = now;
    const { entriesPerSecond } = flushOf(entries, ms, 0);
    logger.log(
      `worker-${this.index} flushed ${entries}/${of} entries in ${Math.round(ms)}ms ` +
        `(${entriesPerSecond} entries/sec)`,
    );
  }
}

/** A flush with its rate; the duration counts as at least a tenth of a millisecond. */
export function flushOf(entries: number, ms: number, at: number): LastFlush {
  const entriesPerSecond = Math.round((entries * 1000) / Math.max(ms, 0.1));
  return Object.freeze({ entries, ms, entriesPerSecond, at });
}
