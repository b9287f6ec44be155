import type { Batch } from '../channel/batch.js';
import type { Channel } from '../channel/channel.js';
import type { DurableLine } from '../channel/durable-line.js';
import type { RowJournal } from '../channel/handoff.js';
import type { Timer } from '../clock/clock.js';
import type { JournalSync as SyncMode } from '../ports/ledger-settings.interface.js';
import type { SpilledRows } from '../ports/spill-store.interface.js';
import type { ServerHistory, SettledFrame } from '../segments/settled-frame.js';
import { JournalFault } from './journal-fault.js';
import { BEAT_MS, JournalPlace, type JournalPlaceParts, type OpenPlace } from './journal-place.js';
import { LateRows } from './late-rows.js';
import { LeftRows } from './left-rows.js';
import { JournalStore } from './journal-store.js';
import { JournalSync } from './journal-sync.js';
import { LoopWriter } from './loop-writer.js';
import { PoolWriter } from './pool-writer.js';
import { ServerWatch } from './server-watch.js';
import { WritePace } from './write-pace.js';

/** A turn with more rows than this writes before its end, so that little memory is kept. */
const WRITE_BYTES = 1_048_576;
/** Of `journalMaxBytes`, for rows that are left behind: one file of the smallest journal. */
const LEFT_SHARE = 1 / 4;

/** What a journal is made of. @internal */
export interface JournalParts extends JournalPlaceParts {
  readonly channel: Channel;
  readonly durables: DurableLine;
  readonly sync: SyncMode;
  /** Whether rows that are not next may be on disk only, and are read back: `overflow: 'disk'`. */
  readonly reads: boolean;
  /** Of a row. */
  readonly columns: number;
}

/**
 * Keeps accepted rows in files until they are settled, so that they survive the process. Never throws:
 * while the file system refuses, entries are in memory only and the journal is `degraded`.
 *
 * closed -> open (first row) -> degraded (a fault) -> open (every five seconds a try) -> closed.
 *
 * @internal
 */
export class Journal implements RowJournal {
  keepsFrom = 0;
  mayExistUntil = 0;
  readonly store: JournalStore;
  /** The server that has the settled rows, as far as it is known. */
  readonly servers: ServerWatch;
  /** How long writes take. */
  readonly pace: WritePace;
  readonly #parts: JournalParts;
  readonly #fault: JournalFault;
  readonly #syncing: JournalSync;
  readonly #place: JournalPlace;
  readonly #left: LeftRows;
  readonly #loop: LoopWriter;
  readonly #pool: PoolWriter;
  readonly #late: LateRows;
  /** Every row before it is on file, or needs it no more. */
  #written = 0;
  /** The same, for a loss of power. */
  #synced = 0;
  #unwrittenBytes = 0;
  #isScheduled = false;
  #timer: Timer | undefined;
  /** Position behind the last row at the last beat. */
  #beatEnd = 0;
  /** Rows before it are settled, from the stop on: those behind it stay in the files. */
  #lastMark: number | undefined;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#fault = new JournalFault(parts);
    this.pace = new WritePace(parts);
    this.servers = new ServerWatch(parts.logger);
    const syncs = parts.sync === 'power';
    const settled = (): SettledFrame => {
      return { ...this.servers.current, position: this.#mark, at: parts.clock.now() };
    };
    this.#place = new JournalPlace({ ...parts, syncs }, settled);
    this.#left = new LeftRows({
      ...parts,
      maxBytes: parts.maxBytes * LEFT_SHARE,
      syncs,
      settled,
      makeFolder: () => this.#place.makeFolder(),
      durableUntil: () => this.durableUntil,
      ownPath: () => this.#place.path,
    });
    this.store = new JournalStore({
      ...parts,
      place: this.#place,
      storedUntil: () => this.durableUntil,
      isTaking: () => this.#fault.reason === undefined && this.#lastMark === undefined,
    });
    const writing = {
      ...{ channel: parts.channel, clock: parts.clock, place: this.#place, store: this.store },
      written: () => this.#written,
      onLost: () => this.#startAgain(),
    };
    this.#loop = new LoopWriter(writing);
    this.#late = new LateRows({
      ...writing,
      write: () => this.write(),
      syncNow: (place) => void (syncs && this.#syncing.runNow(place)),
    });
    this.#pool = new PoolWriter({
      ...writing,
      onWritten: (position, ms) => {
        this.pace.noteAway(ms);
        this.#noteWritten(position);
      },
      onDone: () => this.#fault.heal(),
      onFailed: (error) => this.#fail(error),
    });
    this.#syncing = new JournalSync({
      files: parts.files,
      written: () => this.#written,
      onSynced: (position) => {
        this.#synced = position;
        parts.durables.settleUntil(position);
      },
      onFailed: (error) => this.#fail(error),
    });
  }

  /** `degraded`: rows are in memory only. `asynchronous`: they are on file a moment later than promised. */
  get state(): 'writing' | 'asynchronous' | 'degraded' {
    if (this.#fault.reason !== undefined) return 'degraded';
    return this.#isAsynchronous(this.#parts.clock.monotonic()) ? 'asynchronous' : 'writing';
  }

  /** Behind a fault all that is in memory is written in the thread pool, and new rows with it. */
  #isAsynchronous(now: number): boolean {
    return this.#pool.isRunning || this.pace.isAway(now);
  }

  /** Why rows are in memory only; undefined if they are not. */
  get reason(): string | undefined {
    return this.#fault.reason;
  }

  /** Of all files of this run. */
  get bytes(): number {
    return (this.#place.current?.segments.bytes ?? 0) + this.#left.bytes;
  }

  get files(): number {
    return (this.#place.current?.segments.count ?? 0) + this.#left.count;
  }

  /** Of files that earlier runs left, and that are not written into the table yet. */
  get earlierBytes(): number {
    return this.#parts.earlier.bytes;
  }

  /** Every row before this position survives what the setting names. */
  get durableUntil(): number {
    return this.#parts.sync === 'power' ? this.#synced : this.#written;
  }

  get #mark(): number {
    return Math.min(this.#lastMark ?? this.#parts.channel.settledUntil, this.#left.heldFrom);
  }

  /** The folder was tried, and refused: entries are in memory only until a later try succeeds. Never throws. */
  degrade(error: unknown): void {
    this.#fail(error);
  }

  /** Calls back when a folder is made, and when it is left or removed; must not throw. */
  watch(watcher: (isOpen: boolean) => void): void {
    this.#place.watch(watcher);
  }

  /**
   * Which server takes the rows. If it was promoted meanwhile, the old one may have committed what this
   * one never got: all rows on file go to the recovery of this run; after the stop, to the next start.
   * Never throws.
   */
  noteServer(history: ServerHistory): void {
    if (!this.servers.note(history) || this.#lastMark !== undefined) return;
    try {
      this.#place.handOver();
      this.servers.current = history;
      // Rows that are not settled stay this journal's as well: written twice, they are duplicates.
      this.#startAgain();
      this.write();
    } catch (error) {
      this.#fail(error);
    }
  }

  noteAppended(rowBytes: number): void {
    if (this.#fault.reason !== undefined) return;
    this.#unwrittenBytes += rowBytes;
    if (this.#parts.sync === 'entry' || this.#unwrittenBytes >= WRITE_BYTES) return this.write();
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#parts.clock.nextTurn(() => {
      this.#isScheduled = false;
      this.write();
    });
  }

  /** Writes all rows that are not on file. Never throws. */
  write(): void {
    const { channel, clock } = this.#parts;
    if (this.#fault.reason !== undefined || this.#written >= channel.tail) return;
    const startedAt = clock.monotonic();
    if (this.#isAsynchronous(startedAt)) return this.#pool.run();
    try {
      const endedAt = this.#writeRows(startedAt);
      this.pace.note(endedAt - startedAt, endedAt);
    } catch (error) {
      this.#fail(error);
    }
  }

  /**
   * @param sync makes the rows survive a loss of power
   * @returns monotonic milliseconds behind it
   * @throws the file system's error
   */
  #writeRows(startedAt: number, sync = (place: OpenPlace) => this.#syncing.run(place)): number {
    this.#timer ??= this.#startBeat();
    const endedAt = this.#loop.write(startedAt);
    this.#noteWritten(this.#parts.channel.tail, sync);
    return endedAt;
  }

  /**
   * The folder is another process's, which writes its rows too: all that are not settled are written again,
   * elsewhere, and may be in the table by now.
   */
  #startAgain(): void {
    this.mayExistUntil = this.#parts.channel.tail;
    this.#pool.abandon();
    this.#left.heldFrom = Number.POSITIVE_INFINITY;
    this.#written = this.#mark;
    // While nothing can be written no memory is kept for it.
    if (this.#fault.reason === undefined) this.keepsFrom = this.#written;
    this.#synced = this.#written;
    this.#syncing.restart(this.#written);
  }

  #noteWritten(position: number, sync = (place: OpenPlace) => this.#syncing.run(place)): void {
    const { channel, durables } = this.#parts;
    this.#written = position;
    this.keepsFrom = position;
    this.#unwrittenBytes = 0;
    channel.release();
    if (this.#parts.sync === 'power') return sync(this.#place.open());
    durables.settleUntil(position);
  }

  #fail(error: unknown): void {
    const { channel, durables, sync } = this.#parts;
    this.#fault.note(error);
    this.#timer ??= this.#startBeat();
    // After a sync that failed the kernel may have dropped what it could not write: those rows, and
    // what was not synced yet, go to a new file.
    if (sync === 'power') this.#written = this.#synced;
    this.#pool.abandon();
    this.#syncing.restart(this.#synced);
    this.keepsFrom = Number.POSITIVE_INFINITY;
    channel.release();
    this.#place.current?.segments.giveUp();
    durables.degrade();
  }

  /** Rows are written from now on, until the file system refuses again. */
  #retry(): void {
    this.#fault.retry();
    this.keepsFrom = this.#written;
  }

  #startBeat(): Timer {
    return this.#parts.clock.after(BEAT_MS, () => this.#beat());
  }

  #beat(): void {
    this.#timer = this.#startBeat();
    try {
      this.#lookAround();
    } catch (error) {
      if (!this.#place.isGone(error, this.#parts.clock.monotonic())) return this.#fail(error);
      this.#startAgain();
      this.write();
    }
  }

  #lookAround(): void {
    const { channel, clock } = this.#parts;
    const now = clock.monotonic();
    if (!this.#place.look(now)) {
      this.#startAgain();
      return this.write();
    }
    this.#left.showLife();
    this.#place.retire(this.#mark, now);
    this.store.prune(this.#mark);
    if (this.#fault.isRested(now)) {
      this.#retry();
      // Not on the loop: it may be all that the channel holds.
      return this.#pool.run();
    }
    if (this.#fault.reason !== undefined) return;
    const end = Math.max(channel.tail, this.#late.until);
    if (this.#lastMark !== undefined && end === this.#beatEnd) return this.close();
    this.#beatEnd = end;
    this.#place.showLife(end, this.#mark);
  }

  /** A row that comes after the seal. It is on file, and synced where the setting says so, when this returns. */
  keep({ slices, count, position }: SpilledRows): string | undefined {
    const { clock } = this.#parts;
    const now = clock.monotonic();
    if (this.#fault.reason !== undefined && !this.#fault.isRested(now)) return undefined;
    this.#retry();
    this.#timer ??= this.#startBeat();
    try {
      const file = this.#late.keep({ bytes: Buffer.concat(slices), count, position });
      this.#fault.heal();
      return file;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /**
   * Keeps rows for the next start, though they are settled here: nothing else has them. Never throws.
   * @returns where; undefined: they are in memory only
   */
  leaveBehind(batch: Batch): string | undefined {
    this.#timer ??= this.#startBeat();
    return this.#left.keep(batch);
  }

  /**
   * Puts all rows that are not settled on file, at once, and leaves them there: from now on none
   * counts as settled. Tries also where the file system refused a moment ago.
   *
   * @returns the folder; undefined if some rows are in memory only
   */
  leave(): string | undefined {
    const { channel, clock, durables, sync } = this.#parts;
    this.#lastMark ??= channel.settledUntil;
    this.#retry();
    this.#pool.abandon();
    try {
      this.#setBusyAside();
      this.#writeRows(clock.monotonic(), () => undefined);
      const place = this.#place.open();
      place.segments
        .open()
        .appendSettled({ ...this.servers.current, position: this.#mark, at: clock.now() });
      if (sync === 'power') this.#syncing.runNow(place);
      this.#synced = this.#written;
      durables.settleUntil(this.#written);
      this.#fault.heal();
      return place.folder.path;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /**
   * At the end nobody hears how a write or a sync in the thread pool ended: its rows are written once more. A
   * sync of a file that is being synced would not do: the kernel reports a failure to one of the two.
   */
  #setBusyAside(): void {
    const segments = this.#place.current?.segments;
    segments?.setBusyAside();
    if (!this.#syncing.isRunning) return;
    this.#written = this.#synced;
    this.#syncing.restart(this.#synced);
    segments?.giveUp();
  }

  /**
   * Ends the files: the folder is removed if every row in it is settled, and released if not. A row
   * that comes all the same begins another folder.
   */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#left.close();
    if (this.#place.current === undefined) return;
    this.#lastMark ??= this.#parts.channel.settledUntil;
    this.#pool.abandon();
    this.#place.close(this.#mark);
  }
}
