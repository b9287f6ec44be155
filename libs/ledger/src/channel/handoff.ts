import type { Clock } from '../clock/clock.js';
import type { RowSpill } from '../ports/spill-store.interface.js';
import { Channel, type RowListener } from './channel.js';
import { CommitLine } from './commit-line.js';
import { DurableLine } from './durable-line.js';
import type { RowStore } from './stored-slab.js';
import { RoomLine } from './room-line.js';

/** Called for each queued entry. */
export interface QueueListener {
  /** Called for each entry, so it must be almost free. Must not throw. */
  noteQueued(): void;
}

/** Keeps accepted rows on disk until they are settled, and takes rows that come after the seal. */
export interface RowJournal extends RowListener, RowSpill {
  /** The journal as a store for rows that are not next. */
  readonly store: RowStore;
  /** Every row before this position has the durability of the journal. */
  readonly durableUntil: number;
  /** Rows before this position may be in the table: another process has a copy and writes it. */
  readonly mayExistUntil: number;
  /** Why rows are in memory only; undefined if the journal has them. */
  readonly reason: string | undefined;
}

/** Bounds of a handoff. */
export interface HandoffBounds {
  /** Entries in the channel. */
  readonly capacity: number;
  /** Bytes of their rows. */
  readonly maxBytes: number;
  /** Callers that may wait for room at the same time, and bytes of their rows. */
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
}

const NOBODY: QueueListener = { noteQueued: () => undefined };

/**
 * The interface between the two halves of a ledger: the channel, and the callers who wait for room
 * or for a commit. The intake half appends; the writer half takes and settles. Neither half knows
 * the other. The handoff is created first.
 *
 * @internal
 */
export class Handoff {
  readonly channel: Channel;
  /** Callers that wait for room. */
  readonly room: RoomLine;
  /** Callers that wait for a commit. */
  readonly commits = new CommitLine();
  /** Callers that wait until the journal has their rows. */
  readonly durables: DurableLine;
  /** True once the channel takes no more entries. */
  isSealed = false;
  /** Takes the rows of later entries; undefined: these entries are refused. */
  late: RowSpill | undefined;
  /** Undefined: accepted rows are in memory only. */
  journal: RowJournal | undefined;
  /** Waits for the journal that ended without a durable row. */
  notDurable = 0;
  #listener = NOBODY;
  readonly #onSealed: (() => void)[] = [];
  #onFirst: (() => void) | undefined;
  #onLoaded = (): void => undefined;

  constructor(bounds: HandoffBounds, clock: Clock, late?: RowSpill) {
    this.late = late;
    const { capacity, maxBytes, maxWaiting, maxWaitingBytes } = bounds;
    this.channel = new Channel({ capacity, maxBytes });
    this.room = new RoomLine({ maxWaiting, maxBytes: maxWaitingBytes }, clock);
    this.durables = new DurableLine(clock);
  }

  /** Calls back when rows that were on disk only can be taken; must not throw. */
  whenLoaded(callback: () => void): void {
    this.#onLoaded = callback;
  }

  /** Attaches the writer half, which is called for each entry from now on. */
  attach(listener: QueueListener): void {
    this.#listener = listener;
  }

  /**
   * From now on the journal keeps rows. It may also take those that come after the seal.
   * @param unloads whether rows that are not next may be in the journal only
   */
  keep(journal: RowJournal, unloads: boolean): void {
    const { late } = this;
    this.journal = journal;
    this.channel.listen(journal);
    if (unloads) this.channel.storeIn(journal.store, () => this.#onLoaded());
    this.late = {
      keep: (rows) => journal.keep(rows) ?? late?.keep(rows),
      close: () => late?.close(),
    };
  }

  /**
   * Waits until every appended row is durable, the journal can't be written, or the time is up.
   * Never rejects.
   *
   * @returns undefined if there is nothing to wait for
   */
  untilDurable(timeoutMs: number): Promise<void> | undefined {
    const { journal, channel, durables } = this;
    if (journal === undefined || journal.durableUntil >= channel.tail) return undefined;
    if (journal.reason !== undefined) {
      this.notDurable++;
      return undefined;
    }
    return new Promise((resolve) => {
      durables.join(channel.tail - 1, timeoutMs, (end) => {
        if (end !== 'durable') this.notDurable++;
        resolve();
      });
    });
  }

  /** Calls back once, at the first entry; must not throw. */
  whenFirstQueued(callback: () => void): void {
    this.#onFirst = callback;
  }

  /** Called after the intake half appended an entry. */
  noteQueued(): void {
    if (this.#onFirst !== undefined) this.#noteFirst(this.#onFirst);
    this.#listener.noteQueued();
  }

  #noteFirst(callback: () => void): void {
    this.#onFirst = undefined;
    callback();
  }

  /** Whether a new entry finds no room. */
  get isFull(): boolean {
    return this.channel.saturation >= 1 || this.room.waiting > 0;
  }

  /** Admits waiting callers, after the writer half took or settled entries. */
  admitWaiting(): void {
    const { room, channel } = this;
    if (room.waiting > 0) room.admit((rowBytes) => channel.hasRoom(rowBytes));
  }

  /** Calls back once, when the handoff is sealed; must not throw. */
  whenSealed(callback: () => void): void {
    this.#onSealed.push(callback);
  }

  /**
   * From now on the channel takes no entries. Entries of waiting callers are late too. A second
   * call does nothing.
   */
  seal(): void {
    if (this.isSealed) return;
    this.isSealed = true;
    this.room.refuseAll();
    for (const callback of this.#onSealed.splice(0)) callback();
  }
}
