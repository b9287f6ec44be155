import type { DueReason } from '../ports/ledger-stats.interface.js';
import type { Batch } from '../channel/batch.js';
import { MAX_BATCH_BYTES, type Channel } from '../channel/channel.js';
import type { AwaitedEntry, CommitLine } from '../channel/commit-line.js';
import type { Clock, Timer } from '../clock/clock.js';

/** A batch handed to a worker. @internal */
export interface Assignment {
  readonly batch: Batch;
  readonly due: DueReason;
  /** Entries of the batch whose callers wait, by position. */
  readonly awaited: readonly AwaitedEntry[];
  /** Somebody waits for the commit: an entry's caller, or a flush. */
  readonly isAwaited: boolean;
}

/** What the dispatcher is made of. */
export interface DispatcherParts {
  readonly channel: Channel;
  readonly commits: CommitLine;
  readonly clock: Clock;
  readonly batchSize: number;
  readonly flushMs: number;
  /** Called after entries left the channel, so that waiting callers get their room. */
  readonly onTaken: () => void;
}

/**
 * Decides when a batch is due and hands it to an idle worker. There is one channel for all
 * workers, so a trickle makes one batch each `flushMs`, not one a worker; at most one part-filled
 * awaited batch is in flight, so callers who wait are grouped instead of sent one by one.
 *
 * @internal
 */
export class Dispatcher {
  /** From the first shutdown hook on each entry is due at once. */
  isDraining = false;
  readonly #parts: DispatcherParts;
  readonly #idle: ((assignment: Assignment | undefined) => void)[] = [];
  #timer: Timer | undefined;
  #isScheduled = false;
  #isStopped = false;
  #isAwaitedPartInFlight = false;
  /** Entries before this position are due because a flush waits for them. */
  #flushPosition = 0;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Looks whether something became due; called for each entry, so it costs next to nothing. */
  noteQueued(): void {
    const { channel, commits, batchSize } = this.#parts;
    if (
      channel.depth >= batchSize ||
      channel.waitingBytes >= MAX_BATCH_BYTES ||
      commits.hasWaiting ||
      this.isDraining
    ) {
      this.schedule();
    } else if (this.#timer === undefined) {
      this.#armTimer();
    }
  }

  /** Makes all entries that are in the channel now due. */
  flushUntil(position: number): void {
    this.#flushPosition = Math.max(this.#flushPosition, position);
    this.schedule();
  }

  /** Looks for due batches after one turn of the event loop. */
  schedule(): void {
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    this.#parts.clock.nextTurn(() => {
      this.#isScheduled = false;
      this.#dispatch();
    });
  }

  /**
   * Asks for the next due batch.
   * @param accept called once, in the turn in which the batch leaves the channel; with undefined
   * once the dispatcher is stopped
   */
  next(accept: (assignment: Assignment | undefined) => void): void {
    if (this.#isStopped) return accept(undefined);
    this.#idle.push(accept);
    this.#dispatch();
  }

  /** A worker has settled its batch. */
  done(assignment: Assignment): void {
    if (isAwaitedPart(assignment, this.#parts.batchSize)) this.#isAwaitedPartInFlight = false;
  }

  /** Sends idle workers home; what is in the channel stays there. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const accept of this.#idle.splice(0)) accept(undefined);
  }

  /** Takes all that is in the channel, in batches, for the spill at the drain deadline. */
  takeAll(): Assignment[] {
    const assignments: Assignment[] = [];
    while (this.#parts.channel.depth > 0) assignments.push(this.#assign('draining'));
    return assignments;
  }

  #dispatch(): void {
    if (this.#isStopped) return;
    while (this.#idle.length > 0) {
      const due = this.#dueReason();
      if (due === undefined) break;
      const assignment = this.#assign(due);
      if (isAwaitedPart(assignment, this.#parts.batchSize)) this.#isAwaitedPartInFlight = true;
      this.#idle.shift()!(assignment);
      this.#parts.onTaken();
    }
    this.#armTimer();
  }

  #assign(due: DueReason): Assignment {
    const { channel, commits, batchSize } = this.#parts;
    const isFlushed = this.#flushPosition > channel.head;
    const batch = channel.take(batchSize)!;
    const awaited = commits.take(channel.head);
    return { batch, due, awaited, isAwaited: awaited.length > 0 || isFlushed };
  }

  #dueReason(): DueReason | undefined {
    const { channel, commits, batchSize, flushMs, clock } = this.#parts;
    if (channel.depth === 0) return undefined;
    if (channel.depth >= batchSize || channel.waitingBytes >= MAX_BATCH_BYTES) return 'full';
    if (this.isDraining) return 'draining';
    const isAwaited = commits.hasWaiting || this.#flushPosition > channel.head;
    if (isAwaited && !this.#isAwaitedPartInFlight) return 'awaited';
    return clock.monotonic() - channel.oldestAt! >= flushMs ? 'old' : undefined;
  }

  /** One timer for the oldest entry, however many come after it. */
  #armTimer(): void {
    const { channel, clock, flushMs } = this.#parts;
    if (this.#timer !== undefined || this.#isStopped || this.#idle.length === 0) return;
    const oldestAt = channel.oldestAt;
    if (oldestAt === undefined) return;
    const waitMs = Math.max(1, Math.ceil(oldestAt + flushMs - clock.monotonic()));
    this.#timer = clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#dispatch();
    });
  }
}

function isAwaitedPart(assignment: Assignment, batchSize: number): boolean {
  return assignment.due === 'awaited' && assignment.batch.count < batchSize;
}
