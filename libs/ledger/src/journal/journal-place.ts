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
 * Interval at which a journal gives a sign of life and checks that its folder is still its own.
 * Another process takes a folder after ten seconds without a sign.
 */
export const BEAT_MS = 1000;

/** Parts of a journal's place and of its files. @internal */
export interface JournalPlaceParts {
  readonly files: JournalFiles;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Absolute path. Made at the first use. */
  readonly journalDir: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Eight hex digits. */
  readonly run: string;
  /** Maximum bytes of all files together, including those of earlier runs. */
  readonly maxBytes: number;
  readonly earlier: Pick<EarlierFiles, 'bytes'>;
  /** Milliseconds that files are kept after all their rows are settled. */
  readonly keepMs: number;
  /** Makes the description in the header of a new file. */
  readonly describe: () => SegmentDescription;
  /** Content of `owner.json`. */
  readonly owner: () => string;
}

/** @internal */
export interface OpenPlace {
  readonly folder: JournalFolder;
  readonly segments: JournalSegments;
}

/**
 * Where a journal writes: a folder with files, made at the first use. If the folder is lost to
 * another process that considers its owner dead, a new one is made.
 *
 * @internal
 */
export class JournalPlace {
  /** Undefined: the next row makes a folder. */
  current: OpenPlace | undefined;
  readonly #parts: JournalPlaceParts & { readonly syncs: boolean };
  readonly #settled: () => SettledFrame;
  /** Monotonic milliseconds when the folder certainly belonged to this journal. */
  #ownedAt = 0;
  /**
   * Number of folders made so far. Names are never reused, even if another process renamed the
   * first folder.
   */
  #folders = 0;
  /** Folders above those of this run. */
  readonly #above = new UnsyncedFolders();
  #owner = '';
  /** Settled position of the last settled frame. */
  #framed = 0;
  readonly #watchers: ((isOpen: boolean) => void)[] = [];

  /** @param settled returns the content of a settled frame */
  constructor(parts: JournalPlaceParts & { readonly syncs: boolean }, settled: () => SettledFrame) {
    this.#parts = parts;
    this.#settled = settled;
  }

  /** Calls back when a folder is made, left or removed; must not throw. */
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

  /** Makes a folder of this run with a new name. @throws the file system's error */
  makeFolder(owner = this.#parts.owner()): JournalFolder {
    const { files, journalDir, ledger, run } = this.#parts;
    const parts = { files, journalDir, ledger, run, owner, above: this.#above };
    return JournalFolder.create(parts, ++this.#folders);
  }

  #tell(isOpen: boolean): void {
    for (const watcher of this.#watchers) watcher(isOpen);
  }

  /** Path of the folder, or the planned path before there is one. */
  get path(): string {
    const { journalDir, ledger, run } = this.#parts;
    return this.current?.folder.path ?? join(journalDir, ledger, run);
  }

  /**
   * Notes that the folder belonged to this journal after a look or a write.
   * @param at monotonic milliseconds
   */
  noteOwn(at: number): void {
    this.#ownedAt = at;
  }

  /**
   * Whether the folder belongs to this journal; looks only if the last look was long ago.
   * @param now monotonic milliseconds
   */
  isOwn(now: number): boolean {
    return now - this.#ownedAt <= BEAT_MS || this.look(now);
  }

  /**
   * Checks that the folder still belongs to this journal, and leaves it if not.
   * @returns false if it was left: from then on another process owns its rows
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

  /** Whether an error means that the folder is gone; it is then left. Never throws. */
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
   * Leaves the folder to this run's recovery, which replays all of it. The next row makes another
   * folder.
   * @throws the file system's error; nothing has then changed
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
   * Gives a sign of life of the owner. It is a settled frame while a row is unsettled, or if one
   * settled since the last frame.
   * @param end position after the last row @param mark every row before it is settled
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
    // The file has nothing left to read.
    if (file?.isBusy === false && this.#parts.keepMs === 0) segments.finish();
  }

  /** Writes the owner again if it changed: the table may be known now. */
  #describeOwner({ folder, segments }: OpenPlace): void {
    const owner = this.#parts.owner();
    if (owner === this.#owner) return;
    this.#owner = owner;
    folder.describeOwner(owner);
    segments.finish();
  }

  /**
   * Removes the folder if all its rows are before the mark, and releases it otherwise. Never
   * throws.
   */
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
      // Another process finds the folder without a sign of life, and takes it anyway.
    } finally {
      this.#tell(false);
    }
  }
}
