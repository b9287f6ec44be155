import { join } from 'node:path';
import type { Clock } from '../clock/clock.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import type { SettledFrame } from '../segments/settled-frame.js';
import type { EarlierFiles } from './earlier-files.js';
import { isGoneCode, JournalFolder } from './journal-folder.js';
import { JournalSegments } from './journal-segments.js';
import { UnsyncedFolders } from './unsynced-folders.js';

/**
 * A journal shows that it lives this often, and looks whether its folder is still its own. Another
 * process takes a folder after ten seconds without a sign.
 */
export const BEAT_MS = 1000;

/** Where a journal writes, and what its files say. @internal */
export interface JournalPlaceParts {
  readonly files: JournalFiles;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Absolute. Made when it is first needed. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Eight hex digits. */
  readonly run: string;
  /** Of all files together, with those that earlier runs left. */
  readonly maxBytes: number;
  readonly earlier: Pick<EarlierFiles, 'bytes'>;
  /** How long files are kept once all their rows are settled. */
  readonly keepMs: number;
  /** What the header of a new file says. */
  readonly describe: () => SegmentDescription;
  /** What `owner.json` says. */
  readonly owner: () => string;
}

/** @internal */
export interface OpenPlace {
  readonly folder: JournalFolder;
  readonly segments: JournalSegments;
}

/**
 * Where a journal writes: a folder with files, made when it is first needed, and another one where this
 * one was lost to a process that took its owner for dead.
 *
 * @internal
 */
export class JournalPlace {
  /** Undefined: the next row makes a folder. */
  current: OpenPlace | undefined;
  readonly #parts: JournalPlaceParts & { readonly syncs: boolean };
  readonly #settled: () => SettledFrame;
  /** Monotonic milliseconds when the folder was this journal's for certain. */
  #ownedAt = 0;
  /** Folders made up to now: no two have one name, though another process renamed the first. */
  #folders = 0;
  /** Folders above those of this run. */
  readonly #above = new UnsyncedFolders();
  #owner = '';
  /** What the last settled frame said. */
  #framed = 0;
  readonly #watchers: ((isOpen: boolean) => void)[] = [];

  /** @param settled what a settled frame says now */
  constructor(parts: JournalPlaceParts & { readonly syncs: boolean }, settled: () => SettledFrame) {
    this.#parts = parts;
    this.#settled = settled;
  }

  /** Calls back when a folder is made, and when it is left or removed; must not throw. */
  watch(watcher: (isOpen: boolean) => void): void {
    this.#watchers.push(watcher);
  }

  /** @throws the file system's error */
  open(): OpenPlace {
    return (this.current ??= this.#make());
  }

  #make(): OpenPlace {
    const { files, maxBytes, earlier, keepMs, syncs, describe } = this.#parts;
    this.#owner = this.#parts.owner();
    const folder = this.makeFolder(this.#owner);
    this.#ownedAt = this.#parts.clock.monotonic();
    const settled = this.#settled;
    const parts = { files, folder, maxBytes, earlier, keepMs, syncs, describe, settled };
    this.#tell(true);
    return { folder, segments: new JournalSegments(parts) };
  }

  /** Makes a folder of this run; no two have one name. @throws the file system's error */
  makeFolder(owner = this.#parts.owner()): JournalFolder {
    const { files, journalDir, ledger, run } = this.#parts;
    const parts = { files, journalDir, ledger, run, owner, above: this.#above };
    return JournalFolder.create(parts, ++this.#folders);
  }

  #tell(isOpen: boolean): void {
    for (const watcher of this.#watchers) watcher(isOpen);
  }

  /** Of the folder; where it will be, before there is one. */
  get path(): string {
    const { journalDir, ledger, run } = this.#parts;
    return this.current?.folder.path ?? join(journalDir, ledger, run);
  }

  /** The folder was this journal's then: it looked, or wrote. @param at monotonic milliseconds */
  noteOwn(at: number): void {
    this.#ownedAt = at;
  }

  /** Whether the folder is this journal's; looks only if that was long ago. @param now monotonic milliseconds */
  isOwn(now: number): boolean {
    return now - this.#ownedAt <= BEAT_MS || this.look(now);
  }

  /**
   * Looks whether the folder is still this journal's, and leaves it if not.
   * @returns false if it was left: its rows are another process's from now on
   */
  look(now: number): boolean {
    this.#ownedAt = now;
    const { current } = this;
    if (current === undefined || current.folder.isOwn) return true;
    this.#parts.logger.warn(
      `WARNING: the journal ${current.folder.path} no longer belongs to this process (another one took it over, or it was ` +
        'removed): unsettled rows are written to a new one',
    );
    current.segments.forget();
    this.current = undefined;
    this.#tell(false);
    return false;
  }

  /** Whether an error means that the folder is gone; it is left then. Never throws. */
  isGone(error: unknown, now: number): boolean {
    try {
      return isGoneCode(error) && !this.look(now);
    } catch {
      return false;
    }
  }

  /** Unlinks files whose rows are settled. */
  retire(mark: number, now: number): void {
    this.current?.segments.retire(mark, now);
  }

  /**
   * Leaves the folder to this run's recovery, which replays all of it; the next row makes another one.
   * @throws the file system's error; nothing has changed then
   */
  handOver(): void {
    const { current } = this;
    if (current === undefined) return;
    current.folder.handOver();
    current.segments.forget();
    this.current = undefined;
    this.#tell(false);
  }

  /**
   * Shows others that the owner lives: by a settled frame, as long as there is a row that is not settled,
   * or one that settled since the last frame.
   * @param end position behind the last row @param mark every row before it is settled
   * @throws the file system's error
   */
  showLife(end: number, mark: number): void {
    if (this.current === undefined) return;
    const { folder, segments } = this.current;
    this.#describeOwner(this.current);
    const file = segments.current;
    if (file !== undefined && !file.isBusy && (mark < end || mark !== this.#framed)) {
      file.appendSettled(this.#settled());
      this.#framed = mark;
      return;
    }
    folder.touch(this.#parts.clock.now());
    // Nothing is left to be read in it.
    if (file?.isBusy === false && this.#parts.keepMs === 0) segments.finish();
  }

  /** The table may be known by now. */
  #describeOwner({ folder, segments }: OpenPlace): void {
    const owner = this.#parts.owner();
    if (owner === this.#owner) return;
    this.#owner = owner;
    folder.describeOwner(owner);
    segments.finish();
  }

  /** Removes the folder if every row in it is before the mark, and releases it if not. Never throws. */
  close(mark: number): void {
    const { current } = this;
    if (current === undefined) return;
    this.current = undefined;
    const { folder, segments } = current;
    try {
      const isLeft = segments.close(mark);
      if (!folder.isOwn) return;
      if (isLeft) folder.release();
      else folder.remove();
    } catch {
      // Another process finds the folder without a sign of life, and takes it all the same.
    } finally {
      this.#tell(false);
    }
  }
}
