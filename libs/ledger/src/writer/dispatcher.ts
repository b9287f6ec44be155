import type { Batch } from '../channel/batch.js';
import { MAX_BATCH_BYTES } from '../channel/channel.js';
import type { AwaitedEntry } from '../channel/commit-line.js';
import type { Handoff, QueueListener } from '../channel/handoff.js';
import type { Clock, Timer } from '../clock/clock.js';
import type { DueReason } from '../ports/ledger-stats.interface.js';
import type { StoredSlab } from '../channel/stored-slab.js';
import type { Slab } from '../codec/slab.js';
import type { Assignment, BatchSource, RecoverySource } from './batch-source.interface.js';

/** Dependencies of the dispatcher. */
export interface DispatcherParts {
  readonly handoff: Handoff;
  readonly clock: Clock;
  /** Maximum entries of a batch. */
  readonly batchSize: number;
  /** A batch is due when this many entries wait; default and maximum: `batchSize`. */
  readonly enough?: number;
  /** A batch is due when this many bytes wait; default and maximum: 16 MiB. */
  readonly batchBytes?: number | undefined;
  /** The initial value. */
  readonly flushMs: number;
  /** Rows of earlier runs; undefined without a journal. */
  readonly recovery?: RecoverySource | undefined;
}

/**
 * Rows of earlier runs wait while the channel's saturation is at least this, 0 to 1. Source: the
 * journal's design.
 */
const BUSY_SATURATION = 0.5;

/**
 * Decides when a batch is due and assigns it to an idle worker. All workers share one channel, so
 * few entries make one batch each `flushMs` and not one a worker. At most one part-filled awaited
 * batch is in flight, so waiting callers share batches.
 *
 * @internal
 */
export class Dispatcher implements BatchSource, QueueListener {
  readonly #parts: DispatcherParts;
  readonly #idle: ((assignment: Assignment | undefined) => void)[] = [];
  #timer: Timer | undefined;
  #isScheduled = false;
  #isDraining = false;
  #isStopped = false;
  #isAwaitedPartInFlight = false;
  /** Entries before this position are due because a flush waits for them. */
  #flushPosition = 0;
  #onUnreadable: (assignment: Assignment) => void = () => undefined;
  #flushMs: number;
  readonly #enough: number;
  readonly #batchBytes: number;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#flushMs = parts.flushMs;
    this.#enough = parts.enough ?? parts.batchSize;
    this.#batchBytes = Math.min(MAX_BATCH_BYTES, parts.batchBytes ?? MAX_BATCH_BYTES);
    parts.recovery?.whenReady(() => this.#schedule());
    parts.handoff.whenLoaded(() => this.#schedule());
  }

  /** Checks whether a batch became due; called for each entry, so it must cost almost nothing. */
  noteQueued(): void {
    const { channel, commits } = this.#parts.handoff;
    if (
      channel.depth >= this.#enough ||
      channel.waitingBytes >= this.#batchBytes ||
      commits.hasWaiting ||
      this.#isDraining
    ) {
      this.#schedule();
    } else if (this.#timer === undefined) {
      this.#armTimer();
    }
  }

  get held(): number {
    const { handoff, recovery } = this.#parts;
    const { depth, inFlight } = handoff.channel;
    return depth + inFlight + (recovery?.inFlight ?? 0);
  }

  get head(): number {
    return this.#parts.handoff.channel.head;
  }

  get tail(): number {
    return this.#parts.handoff.channel.tail;
  }

  get dueAt(): number | undefined {
    const { inFlight, oldestAt } = this.#parts.handoff.channel;
    if (inFlight > 0) return 0;
    return oldestAt === undefined ? undefined : oldestAt + this.#flushMs;
  }

  /** Maximum milliseconds that the oldest entry waits; may be changed at any time. */
  get flushMs(): number {
    return this.#flushMs;
  }

  set flushMs(flushMs: number) {
    if (flushMs === this.#flushMs) return;
    this.#flushMs = flushMs;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armTimer();
  }

  /** Waiting batches as a fraction, by entries or by bytes, whichever is more. */
  get waitingBatches(): number {
    const { handoff, batchSize } = this.#parts;
    const { depth, waitingBytes } = handoff.channel;
    return Math.max(depth / batchSize, waitingBytes / this.#batchBytes);
  }

  flushUntil(position: number): void {
    this.#flushPosition = Math.max(this.#flushPosition, position);
    this.#schedule();
  }

  drain(): void {
    this.#isDraining = true;
    this.#schedule();
  }

  seal(): void {
    this.#parts.handoff.seal();
  }

  /** Checks for due batches after one turn of the event loop. */
  #schedule(): void {
    if (this.#isScheduled || this.#isStopped) return;
    this.#isScheduled = true;
    this.#parts.clock.nextTurn(() => {
      this.#isScheduled = false;
      this.#dispatch();
    });
  }

  next(accept: (assignment: Assignment | undefined) => void): void {
    if (this.#isStopped) return accept(undefined);
    this.#idle.push(accept);
    this.#dispatch();
  }

  withdraw(accept: (assignment: Assignment | undefined) => void): void {
    const index = this.#idle.indexOf(accept);
    if (index < 0) return;
    this.#idle.splice(index, 1);
    accept(undefined);
  }

  /** Releases the memory of the rows. */
  settle(batch: Batch): void {
    const { handoff, recovery } = this.#parts;
    if (recovery?.owns(batch) === true) return recovery.settle(batch);
    // All other batches came from the channel.
    handoff.channel.settle(batch as Batch<Slab | StoredSlab>);
    handoff.admitWaiting();
  }

  mayExist(batch: Batch): boolean {
    return batch.position < (this.#parts.handoff.journal?.mayExistUntil ?? 0);
  }

  takeWatchers(batch: Batch): readonly AwaitedEntry[] {
    return this.#parts.handoff.commits.takeWatchers((position) => batch.holds(position));
  }

  done(assignment: Assignment): void {
    if (isAwaitedPart(assignment, this.#parts.batchSize)) this.#isAwaitedPartInFlight = false;
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#parts.recovery?.stop();
    for (const accept of this.#idle.splice(0)) accept(undefined);
  }

  takeAll(): Assignment[] {
    const assignments: Assignment[] = [];
    const { channel } = this.#parts.handoff;
    while (channel.depth > 0) {
      assignments.push(channel.isReady ? this.#assign('draining') : this.#assignStored());
    }
    return assignments;
  }

  /** Rows that are on disk only need no other place. */
  #assignStored(): Assignment {
    const { channel, commits, journal } = this.#parts.handoff;
    const { isGone, lostIn } = channel;
    const keptIn = lostIn ?? journal!.store.place;
    const batch = channel.takeStored();
    const awaited = commits.take(channel.head);
    return { batch, due: 'draining', awaited, isAwaited: true, keptIn, isGone };
  }

  whenUnreadable(callback: (assignment: Assignment) => void): void {
    this.#onUnreadable = callback;
  }

  /** Unreadable rows at the head must not block those after them. */
  #skipUnreadable(): void {
    while (this.#parts.handoff.channel.lostIn !== undefined)
      this.#onUnreadable(this.#assignStored());
  }

  #dispatch(): void {
    if (this.#isStopped) return;
    while (this.#idle.length > 0) {
      this.#skipUnreadable();
      const due = this.#dueReason();
      const assignment = due === undefined ? this.#recovered() : this.#assign(due);
      if (assignment === undefined) break;
      if (isAwaitedPart(assignment, this.#parts.batchSize)) this.#isAwaitedPartInFlight = true;
      this.#idle.shift()!(assignment);
      this.#parts.handoff.admitWaiting();
    }
    this.#armTimer();
  }

  #assign(due: DueReason): Assignment {
    const { handoff, batchSize } = this.#parts;
    const { channel, commits } = handoff;
    const isFlushed = this.#flushPosition > channel.head;
    const batch = channel.take(batchSize)!;
    const awaited = commits.take(channel.head);
    return { batch, due, awaited, isAwaited: awaited.length > 0 || isFlushed };
  }

  /**
   * The last idle worker is reserved for the channel's next entries, unless the channel is empty or
   * no recovered rows are in flight.
   */
  #recovered(): Assignment | undefined {
    const { handoff, recovery } = this.#parts;
    if (recovery === undefined || this.#isDraining) return undefined;
    const { channel } = handoff;
    const isSpare = this.#idle.length > 1 || recovery.inFlight === 0 || channel.depth === 0;
    if (!isSpare || channel.ownSaturation >= BUSY_SATURATION) return undefined;
    const rows = recovery.take();
    return rows && { ...rows, due: 'recovered', awaited: [], isAwaited: false };
  }

  #dueReason(): DueReason | undefined {
    const { handoff, clock } = this.#parts;
    const { channel, commits } = handoff;
    if (!channel.isReady) return undefined;
    if (channel.depth >= this.#enough || channel.waitingBytes >= this.#batchBytes) return 'full';
    if (this.#isDraining) return 'draining';
    const isAwaited = commits.hasWaiting || this.#flushPosition > channel.head;
    if (isAwaited && !this.#isAwaitedPartInFlight) return 'awaited';
    return clock.monotonic() - channel.oldestAt! >= this.#flushMs ? 'old' : undefined;
  }

  /** One timer for the oldest entry, however many entries follow. */
  #armTimer(): void {
    const { handoff, clock } = this.#parts;
    if (this.#timer !== undefined || this.#isStopped || this.#idle.length === 0) return;
    const { oldestAt, isReady } = handoff.channel;
    if (oldestAt === undefined || !isReady) return;
    const waitMs = Math.max(1, Math.ceil(oldestAt + this.#flushMs - clock.monotonic()));
    this.#timer = clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#dispatch();
    });
  }
}

function isAwaitedPart(assignment: Assignment, batchSize: number): boolean {
  return assignment.due === 'awaited' && assignment.batch.count < batchSize;
}
