import type { Channel, RowListener } from '../channel/channel.js';
import type { DurableLine } from '../channel/durable-line.js';
import type { Clock, Timer } from '../clock/clock.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { JournalSync as SyncMode } from '../ports/ledger-settings.interface.js';
import type { RowSpill, SpilledRows } from '../ports/spill-store.interface.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import {
  UNKNOWN_SERVER,
  type ServerHistory,
  type SettledFrame,
} from '../segments/settled-frame.js';
import { JournalFault } from './journal-fault.js';
import { rowsOfRange } from './journal-file.js';
import { JournalFolder } from './journal-folder.js';
import { JournalSegments } from './journal-segments.js';
import { JournalSync } from './journal-sync.js';
import { WritePace } from './write-pace.js';

/**
 * A journal shows that it lives this often, and looks whether its folder is still its own. Another
 * process takes a folder after ten seconds without a sign.
 */
const BEAT_MS = 1000;
/** A turn with more rows than this writes before its end, so that little memory is kept. */
const WRITE_BYTES = 1_048_576;

/** What a journal is made of. @internal */
export interface JournalParts {
  readonly files: JournalFiles;
  readonly channel: Channel;
  readonly durables: DurableLine;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Absolute. Made when it is first needed. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Eight hex digits. */
  readonly run: string;
  readonly sync: SyncMode;
  readonly maxBytes: number;
  readonly keepMs: number;
  /** What the header of a new file says. */
  readonly describe: () => SegmentDescription;
  /** What `owner.json` says. */
  readonly owner: () => string;
}

interface Place {
  readonly folder: JournalFolder;
  readonly segments: JournalSegments;
}

/**
 * Keeps accepted rows in files until they are settled, so that they survive the process. Never throws:
 * while the file system refuses, entries are in memory only and the journal is `degraded`.
 *
 * closed -> open (first row) -> degraded (a fault) -> open (every five seconds a try) -> closed.
 *
 * @internal
 */
export class Journal implements RowListener, RowSpill {
  keepsFrom = 0;
  /** The server that takes the rows, as far as it is known. */
  server: ServerHistory = UNKNOWN_SERVER;
  readonly #parts: JournalParts;
  readonly #pace = new WritePace();
  readonly #fault: JournalFault;
  readonly #syncing: JournalSync;
  #place: Place | undefined;
  /** Every row before it is on file, or needs it no more. */
  #written = 0;
  /** The same, for a loss of power. */
  #synced = 0;
  #unwrittenBytes = 0;
  #isScheduled = false;
  /** A write in the thread pool is under way. One of another number is none of ours any more. */
  #away: object | undefined;
  /** Monotonic milliseconds when the folder was this journal's for certain. */
  #ownedAt = 0;
  #timer: Timer | undefined;
  #owner = '';
  /** Folders made up to now: no two have one name, though another process renamed the first. */
  #folders = 0;
  /** Position behind the last row at the last beat. */
  #beatEnd = 0;
  /** What the last settled frame said. */
  #framedMark = 0;
  /** Rows before it are settled, from the stop on: those behind it stay in the files. */
  #lastMark: number | undefined;
  #lateUntil = 0;
  readonly #watchers: ((isOpen: boolean) => void)[] = [];

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#fault = new JournalFault(parts);
    this.#syncing = new JournalSync({
      files: parts.files,
      written: () => this.#written,
      onSynced: (position) => this.#noteSynced(position),
      onFailed: (error) => this.#fail(error),
    });
  }

  /** `degraded`: rows are in memory only. `asynchronous`: the disk is slow, and writes don't stall the loop. */
  get state(): 'writing' | 'asynchronous' | 'degraded' {
    if (this.#fault.reason !== undefined) return 'degraded';
    return this.#pace.isAway(this.#parts.clock.monotonic()) ? 'asynchronous' : 'writing';
  }

  /** Why rows are in memory only; undefined if they are not. */
  get reason(): string | undefined {
    return this.#fault.reason;
  }

  /** Of all files of this run. */
  get bytes(): number {
    return this.#place?.segments.bytes ?? 0;
  }

  get files(): number {
    return this.#place?.segments.count ?? 0;
  }

  /** Milliseconds of the last write. */
  get lastWriteMs(): number {
    return this.#pace.lastMs;
  }

  /** Every row before this position survives what the setting names. */
  get durableUntil(): number {
    return this.#parts.sync === 'power' ? this.#synced : this.#written;
  }

  /** Calls back when a folder is made, and when it is left or removed; must not throw. */
  watch(watcher: (isOpen: boolean) => void): void {
    this.#watchers.push(watcher);
  }

  noteAppended(rowBytes: number): void {
    if (this.#fault.reason !== undefined) return;
    this.#unwrittenBytes += rowBytes;
    if (this.#parts.sync === 'entry' || this.#unwrittenBytes >= WRITE_BYTES) this.write();
    else if (!this.#isScheduled) this.#schedule();
  }

  #schedule(): void {
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
    if (this.#away !== undefined || this.#pace.isAway(startedAt)) return this.#writeAway();
    try {
      const endedAt = this.#writeRows(startedAt);
      this.#pace.note(endedAt - startedAt, endedAt);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** @returns monotonic milliseconds behind it */
  #writeRows(startedAt: number): number {
    const { channel, clock } = this.#parts;
    this.#keepFolder(startedAt);
    for (;;) {
      const { segments } = this.#open();
      for (const range of channel.rowsFrom(this.#written)) {
        segments.open().append(rowsOfRange(range));
      }
      const endedAt = clock.monotonic();
      if (this.#keepFolder(endedAt)) {
        this.#ownedAt = startedAt;
        this.#noteWritten(channel.tail);
        return endedAt;
      }
    }
  }

  /** Another process takes a folder whose owner shows no sign: it was looked at a moment ago, or is now. */
  #keepFolder(now: number): boolean {
    return now - this.#ownedAt <= BEAT_MS || this.#checkFolder(now);
  }

  /** @returns false if another process has it: all rows that are not settled are to be written again */
  #checkFolder(now: number): boolean {
    this.#ownedAt = now;
    if (this.#place === undefined || this.#place.folder.isOwn) return true;
    this.#parts.logger.warn(
      `WARNING: another process took over the journal ${this.#place.folder.path}: ` +
        'rows that are not settled are written to a new one',
    );
    this.#leavePlace(this.#place);
    return false;
  }

  #leavePlace({ segments }: Place): void {
    segments.forget();
    this.#place = undefined;
    this.#away = undefined;
    this.#written = this.#mark;
    this.keepsFrom = this.#written;
    this.#synced = this.#written;
    this.#syncing.restart(this.#written);
  }

  get #mark(): number {
    return this.#lastMark ?? this.#parts.channel.settledUntil;
  }

  #open(): Place {
    this.#timer ??= this.#startBeat();
    return (this.#place ??= this.#makePlace());
  }

  #makePlace(): Place {
    const { files, journalDir, ledger, run, maxBytes, keepMs, sync, describe, clock } = this.#parts;
    this.#owner = this.#parts.owner();
    const owner = this.#owner;
    const folder = JournalFolder.create({ files, journalDir, ledger, run, owner }, ++this.#folders);
    this.#ownedAt = clock.monotonic();
    const settled = (): SettledFrame => this.#settledFrame();
    const syncs = sync === 'power';
    const parts = { files, folder, maxBytes, keepMs, syncs, describe, settled };
    for (const watcher of this.#watchers) watcher(true);
    return { folder, segments: new JournalSegments(parts) };
  }

  #settledFrame(): SettledFrame {
    return { ...this.server, position: this.#mark, at: this.#parts.clock.now() };
  }

  /** Writes in the thread pool, one write at a time, until all rows are on file. */
  #writeAway(): void {
    if (this.#away !== undefined) return;
    const away = {};
    this.#away = away;
    void this.#pump(away).catch((error: unknown) => {
      if (this.#away === away) this.#fail(error);
    });
  }

  async #pump(away: object): Promise<void> {
    const { channel, clock } = this.#parts;
    while (this.#written < channel.tail) {
      const startedAt = clock.monotonic();
      this.#keepFolder(startedAt);
      // It is forgotten where the folder was lost; this write goes to the new one.
      this.#away = away;
      const { tail } = channel;
      const { segments } = this.#open();
      for (const range of channel.rowsFrom(this.#written)) {
        await segments.open().appendLater(rowsOfRange(range));
        if (this.#away !== away) return;
      }
      this.#pace.noteAway(clock.monotonic() - startedAt);
      if (!this.#keepFolder(clock.monotonic())) continue;
      this.#ownedAt = startedAt;
      this.#noteWritten(tail);
    }
    this.#away = undefined;
    this.#fault.heal();
  }

  #noteWritten(position: number): void {
    const { channel, durables, sync } = this.#parts;
    this.#written = position;
    this.keepsFrom = position;
    this.#unwrittenBytes = 0;
    channel.release();
    if (sync === 'power') return this.#syncing.run(this.#place!);
    this.#fault.heal();
    durables.settleUntil(position);
  }

  #noteSynced(position: number): void {
    this.#synced = position;
    if (this.#fault.reason === undefined) this.#fault.heal();
    this.#parts.durables.settleUntil(position);
  }

  #fail(error: unknown): void {
    const { channel, durables, sync } = this.#parts;
    this.#fault.note(error);
    // After a sync that failed the kernel may have dropped what it could not write: those rows, and
    // what was not synced yet, go to a new file.
    if (sync === 'power') this.#written = this.#synced;
    this.#timer ??= this.#startBeat();
    this.#away = undefined;
    this.#syncing.restart(this.#synced);
    this.keepsFrom = Number.POSITIVE_INFINITY;
    channel.release();
    // Half a frame may stand at its end, and a file whose sync failed is not synced again.
    for (const file of this.#place?.segments.unsynced ?? []) file.needsSync = false;
    this.#place?.segments.finish();
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
      this.#fail(error);
    }
  }

  #lookAround(): void {
    const { channel, clock } = this.#parts;
    const now = clock.monotonic();
    if (!this.#checkFolder(now)) return this.write();
    this.#place?.segments.retire(this.#mark, now);
    if (this.#fault.isRested(now)) {
      this.#retry();
      // Not on the loop: it may be all that the channel holds.
      this.#writeAway();
      return;
    }
    if (this.#place === undefined || this.#fault.reason !== undefined) return;
    const end = Math.max(channel.tail, this.#lateUntil);
    if (this.#isEnded && end === this.#beatEnd) return this.close();
    this.#beatEnd = end;
    this.#showLife(this.#place, end);
  }

  /** By a settled frame, as long as there is an unsettled row, or one that settled since the last. */
  #showLife({ folder, segments }: Place, end: number): void {
    const { clock, keepMs } = this.#parts;
    this.#describeOwner(folder);
    const { current } = segments;
    const mark = this.#mark;
    if (current === undefined || current.isBusy) return folder.touch(clock.now());
    if (mark < end || mark !== this.#framedMark) {
      current.appendSettled(this.#settledFrame());
      this.#framedMark = mark;
      return;
    }
    folder.touch(clock.now());
    // Nothing is left to be read in it.
    if (keepMs === 0) segments.finish();
  }

  /** The table may be known by now. */
  #describeOwner(folder: JournalFolder): void {
    const owner = this.#parts.owner();
    if (owner === this.#owner) return;
    this.#owner = owner;
    folder.describeOwner(owner);
    this.#place?.segments.finish();
  }

  get #isEnded(): boolean {
    return this.#lastMark !== undefined;
  }

  /** A row that comes after the seal. It is on file, and synced where the setting says so, when this returns. */
  keep({ slices, count, position }: SpilledRows): string | undefined {
    const { clock, sync } = this.#parts;
    const now = clock.monotonic();
    if (this.#fault.reason !== undefined && !this.#fault.isRested(now)) return undefined;
    this.#retry();
    try {
      this.write();
      this.#keepFolder(now);
      this.#setBusyAside();
      const place = this.#open();
      const file = place.segments.open();
      file.append({ bytes: Buffer.concat(slices), count, position });
      if (sync === 'power') this.#syncing.runNow(place);
      this.#lateUntil = position + count;
      this.#fault.heal();
      return file.path;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /** A file that the thread pool writes to takes nothing else meanwhile. */
  #setBusyAside(): void {
    const segments = this.#place?.segments;
    if (segments?.current?.isBusy === true) segments.finish();
  }

  /**
   * Puts all rows that are not settled on file, at once, and leaves them there: from now on none
   * counts as settled. Tries also where the file system refused a moment ago.
   *
   * @returns the folder; undefined if some rows are in memory only
   */
  leave(): string | undefined {
    const { clock, sync } = this.#parts;
    this.#lastMark ??= this.#parts.channel.settledUntil;
    this.#retry();
    this.#away = undefined;
    try {
      this.#setBusyAside();
      this.#writeRows(clock.monotonic());
      const place = this.#open();
      place.segments.open().appendSettled(this.#settledFrame());
      if (sync === 'power') this.#syncing.runNow(place);
      this.#synced = this.#written;
      this.#parts.durables.settleUntil(this.#written);
      this.#fault.heal();
      return place.folder.path;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /**
   * Ends the files: the folder is removed if every row in it is settled, and released if not. A row
   * that comes all the same begins another folder.
   */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const place = this.#place;
    if (place === undefined) return;
    this.#lastMark ??= this.#parts.channel.settledUntil;
    this.#place = undefined;
    this.#away = undefined;
    try {
      const isLeft = place.segments.close(this.#lastMark);
      if (!place.folder.isOwn) return;
      if (isLeft) place.folder.release();
      else place.folder.remove();
    } catch {
      // Another process finds the folder without a sign of life, and takes it all the same.
    } finally {
      for (const watcher of this.#watchers) watcher(false);
    }
  }
}
