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

/** A turn with more bytes of rows writes before its end, so that little memory is kept. */
const WRITE_BYTES = 1_048_576;
/** Share of `journalMaxBytes` for rows that are left behind: one file of the smallest journal. */
const LEFT_SHARE = 1 / 4;

/** Parts of a journal. @internal */
export interface JournalParts extends JournalPlaceParts {
  readonly channel: Channel;
  readonly durables: DurableLine;
  readonly sync: SyncMode;
  /** Whether rows that are not next may be on disk only, and are read back: `overflow: 'disk'`. */
  readonly reads: boolean;
  /** Number of columns of a row. */
  readonly columns: number;
}

/**
 * Keeps accepted rows in files until they are settled, so that they survive the process. Never
 * throws. While the file system refuses, entries are in memory only and the journal is `degraded`.
 *
 * closed -> open (first row) -> degraded (a fault) -> open (a try every five seconds) -> closed.
 *
 * @internal
 */
export class Journal implements RowJournal {
  keepsFrom = 0;
  mayExistUntil = 0;
  readonly store: JournalStore;
  /** The server that has the settled rows, if known. */
  readonly servers: ServerWatch;
  /** Durations of writes. */
  readonly pace: WritePace;
  readonly #parts: JournalParts;
  readonly #fault: JournalFault;
  readonly #syncing: JournalSync;
  readonly #place: JournalPlace;
  readonly #left: LeftRows;
  readonly #loop: LoopWriter;
  readonly #pool: PoolWriter;
  readonly #late: LateRows;
  /** Every row before this position is on file, or no longer needs to be. */
  #written = 0;
  /** The same for a power loss. */
  #synced = 0;
  #unwrittenBytes = 0;
  #isScheduled = false;
  #timer: Timer | undefined;
  /** Position after the last row at the last beat. */
  #beatEnd = 0;
  /** From the stop on: rows before this position are settled, and later ones stay in the files. */
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

  /**
   * `degraded`: rows are in memory only. `asynchronous`: they are on file slightly later than
   * promised.
   */
  get state(): 'writing' | 'asynchronous' | 'degraded' {
    if (this.#fault.reason !== undefined) return 'degraded';
    return this.#isAsynchronous(this.#parts.clock.monotonic()) ? 'asynchronous' : 'writing';
  }

  /** After a fault all rows in memory are written in the thread pool, together with new ones. */
  #isAsynchronous(now: number): boolean {
    return this.#pool.isRunning || this.pace.isAway(now);
  }

  /** Why rows are in memory only; undefined if the journal takes rows. */
  get reason(): string | undefined {
    return this.#fault.reason;
  }

  /** Bytes of all files of this run. */
  get bytes(): number {
    return (this.#place.current?.segments.bytes ?? 0) + this.#left.bytes;
  }

  get files(): number {
    return (this.#place.current?.segments.count ?? 0) + this.#left.count;
  }

  /** Bytes of files from earlier runs that are not written into the table yet. */
  get earlierBytes(): number {
    return this.#parts.earlier.bytes;
  }

  /** Every row before this position has the durability that the setting promises. */
  get durableUntil(): number {
    return this.#parts.sync === 'power' ? this.#synced : this.#written;
  }

  get #mark(): number {
    return Math.min(this.#lastMark ?? this.#parts.channel.settledUntil, this.#left.heldFrom);
  }

  /**
   * Notes that the folder was tried and refused: entries are in memory only until a later try
   * succeeds. Never throws.
   */
  degrade(error: unknown): void {
    this.#fail(error);
  }

  /** Calls back when a folder is made, left or removed; must not throw. */
  watch(watcher: (isOpen: boolean) => void): void {
    this.#place.watch(watcher);
  }

  /**
   * Notes the server that takes the rows. After a promotion, the old server may have committed rows
   * that the new one never received. All rows on file then go to the recovery of this run, or after
   * the stop to the next start. Never throws.
   */
  noteServer(history: ServerHistory): void {
    if (!this.servers.note(history) || this.#lastMark !== undefined) return;
    try {
      this.#place.handOver();
      this.servers.current = history;
      // Unsettled rows also stay with this journal: the second write of a row is a duplicate.
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
   * @param sync makes the rows survive a power loss
   * @returns monotonic milliseconds after the write
   * @throws the file system's error
   */
  #writeRows(startedAt: number, sync = (place: OpenPlace) => this.#syncing.run(place)): number {
    this.#timer ??= this.#startBeat();
    const endedAt = this.#loop.write(startedAt);
    this.#noteWritten(this.#parts.channel.tail, sync);
    return endedAt;
  }

  /**
   * The folder belongs to another process, which also writes its rows. All unsettled rows are
   * written again in another folder, and may already be in the table.
   */
  #startAgain(): void {
    this.mayExistUntil = this.#parts.channel.tail;
    this.#pool.abandon();
    this.#left.heldFrom = Number.POSITIVE_INFINITY;
    this.#written = this.#mark;
    // While nothing can be written, no memory is kept for it.
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
    // After a failed sync the kernel may have dropped data that it could not write. Those rows and
    // all unsynced ones go to a new file.
    if (sync === 'power') this.#written = this.#synced;
    this.#pool.abandon();
    this.#syncing.restart(this.#synced);
    this.keepsFrom = Number.POSITIVE_INFINITY;
    channel.release();
    this.#place.current?.segments.giveUp();
    durables.degrade();
  }

  /** Writes rows from now on, until the file system refuses again. */
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
      // Not on the event loop: these may be all rows of the channel.
      return this.#pool.run();
    }
    if (this.#fault.reason !== undefined) return;
    const end = Math.max(channel.tail, this.#late.until);
    if (this.#lastMark !== undefined && end === this.#beatEnd) return this.close();
    this.#beatEnd = end;
    this.#place.showLife(end, this.#mark);
  }

  /** Keeps a row after the seal. It is on file on return, and synced if the setting requires it. */
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
   * Keeps rows for the next start although they are settled here, because they exist nowhere else.
   * Never throws.
   * @returns the folder; undefined: they are in memory only
   */
  leaveBehind(batch: Batch): string | undefined {
    this.#timer ??= this.#startBeat();
    return this.#left.keep(batch);
  }

  /**
   * Writes all unsettled rows to file and leaves them there; from now on no row counts as settled.
   * It does not use the thread pool, and tries even after a recent refusal of the file system.
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
   * At the end the result of a write or sync in the thread pool stays unknown, so its rows are
   * written once more. A second sync of a file that is being synced is not enough: the kernel
   * reports a failure to only one of them.
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
   * Ends the files: the folder is removed if all its rows are settled, and released otherwise. A
   * later row starts another folder.
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
