import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import type { SettledFrame } from '../segments/settled-frame.js';
import type { EarlierFiles } from './earlier-files.js';
import { JournalFile } from './journal-file.js';
import type { JournalFolder } from './journal-folder.js';

/** A file takes no frame from this size on. */
export const SEGMENT_BYTES = 16 * 1_048_576;

/** The files of a journal may take no more room. @internal */
export class JournalFullError extends Error {
  readonly code = 'JOURNAL_FULL';
}

/** What the files of a run are made of. @internal */
export interface JournalSegmentsParts {
  readonly files: JournalFiles;
  readonly folder: JournalFolder;
  /** Of all files together, with those that earlier runs left. */
  readonly maxBytes: number;
  readonly earlier: Pick<EarlierFiles, 'bytes'>;
  readonly keepMs: number;
  /** Whether files are synced, and closed only then. */
  readonly syncs: boolean;
  /** Asked for each file. */
  readonly describe: () => SegmentDescription;
  /** What a file begins with. */
  readonly settled: () => SettledFrame;
}

interface OlderFile {
  readonly file: JournalFile;
  /** As they are counted: a write in the thread pool that is under way adds to the file's. */
  bytes: number;
  /** Monotonic milliseconds. */
  settledAt: number | undefined;
}

/**
 * The files of a run's folder: one that takes frames, and older ones, which are unlinked once all
 * their rows are settled and have been for `keepMs`.
 *
 * @internal
 */
export class JournalSegments {
  readonly #parts: JournalSegmentsParts;
  #current: JournalFile | undefined;
  /** Oldest first. */
  #older: OlderFile[] = [];
  #olderBytes = 0;
  /** Of older files whose rows are settled: asked for with each entry. */
  #settledBytes = 0;
  /** Files that the thread pool unlinks: the folder is not empty before. */
  readonly #retiring = new Set<JournalFile>();
  /** Finished last. */
  #last: JournalFile | undefined;

  constructor(parts: JournalSegmentsParts) {
    this.#parts = parts;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#olderBytes + (this.#current?.bytes ?? 0);
  }

  /** Of files that can't be unlinked yet. */
  get heldBytes(): number {
    return this.bytes - this.#settledBytes;
  }

  get count(): number {
    return this.#older.length + (this.#current === undefined ? 0 : 1);
  }

  /** The file that takes frames; undefined: the next frame begins one. */
  get current(): JournalFile | undefined {
    return this.#current;
  }

  /** Files with bytes that were not synced yet. */
  get unsynced(): JournalFile[] {
    const files = this.#older.map(({ file }) => file);
    if (this.#current !== undefined) files.push(this.#current);
    return files.filter(({ needsSync }) => needsSync);
  }

  /**
   * The file that takes the next frame.
   * @throws JournalFullError if there is no room for another; the file system's error
   */
  open(): JournalFile {
    const { bytes = 0 } = this.#current ?? {};
    if (this.#current !== undefined && bytes < SEGMENT_BYTES) return this.#current;
    this.finish();
    this.#makeRoom();
    const { files, folder, describe, settled } = this.#parts;
    for (;;) {
      const file = JournalFile.create(files, folder.nextPath(), describe());
      if (file === undefined) continue;
      if (this.#last !== undefined) this.#last.next = file;
      this.#current = file;
      file.appendSettled(settled());
      return file;
    }
  }

  /** Settled files are kept for later use only: they go first. */
  #makeRoom(): void {
    const { maxBytes, earlier } = this.#parts;
    const room = maxBytes - earlier.bytes - SEGMENT_BYTES;
    while (this.bytes > room && this.#older[0]?.settledAt !== undefined) {
      this.#unlink(this.#older.shift()!);
    }
    if (this.bytes <= room) return;
    const whose = earlier.bytes === 0 ? '' : `, ${earlier.bytes} of them by earlier runs`;
    throw new JournalFullError(`journalMaxBytes ${maxBytes} is reached${whose}`);
  }

  /** The file that takes frames takes none from now on. */
  finish(): void {
    const file = this.#current;
    if (file === undefined) return;
    this.#current = undefined;
    file.isFinished = true;
    this.#last = file;
    if (!this.#parts.syncs || file.isSynced) file.rest();
    this.#older.push({ file, bytes: file.bytes, settledAt: undefined });
    this.#olderBytes += file.bytes;
  }

  /**
   * A file that the thread pool writes or syncs takes nothing else meanwhile: the next frame begins another. Of
   * two syncs of one file the kernel reports a failure to one only.
   */
  setBusyAside(): void {
    if (this.#current?.isBusy === true || this.#current?.isSyncing === true) this.finish();
  }

  /** No file of now is written or synced any more: half a frame may stand there, or its sync failed. */
  giveUp(): void {
    this.finish();
    for (const { file } of this.#older) {
      file.needsSync = false;
      file.rest();
    }
  }

  /**
   * Unlinks files whose rows are settled. @param mark every row before it is settled
   * @param now monotonic milliseconds
   */
  retire(mark: number, now: number): void {
    const { keepMs } = this.#parts;
    const left: OlderFile[] = [];
    for (const each of this.#older) {
      this.#recount(each);
      if (each.settledAt === undefined && (each.file.end ?? 0) <= mark) {
        each.settledAt = now;
        this.#settledBytes += each.bytes;
      }
      const isOver = each.settledAt !== undefined && now - each.settledAt >= keepMs;
      if (isOver) this.#unlink(each);
      else left.push(each);
    }
    this.#older = left;
  }

  #recount(older: OlderFile): void {
    const more = older.file.bytes - older.bytes;
    older.bytes += more;
    this.#olderBytes += more;
    if (older.settledAt !== undefined) this.#settledBytes += more;
  }

  /** @param older whose rows are settled */
  #unlink({ file, bytes }: OlderFile): void {
    this.#olderBytes -= bytes;
    this.#settledBytes -= bytes;
    file.rest();
    // One that stays has settled rows only: they are written again some day, and skipped.
    this.#retiring.add(file);
    const end = (): boolean => this.#retiring.delete(file);
    file.retire().then(end, end);
  }

  /**
   * Ends all files: unlinks those whose rows are settled, at once.
   * @returns whether any file is left
   */
  close(mark: number): boolean {
    const { keepMs } = this.#parts;
    this.finish();
    for (const file of this.#retiring) retireQuietly(file);
    this.#older = this.#older.filter(({ file }) => {
      file.rest();
      if (keepMs > 0 || (file.end ?? 0) > mark) return true;
      try {
        file.retireNow();
        return file.damage !== undefined;
      } catch {
        return true;
      }
    });
    return this.#older.length > 0;
  }

  /** Another process has the files: nothing is written to them, synced or unlinked any more. */
  forget(): void {
    this.giveUp();
    this.#older = [];
    this.#olderBytes = 0;
    this.#settledBytes = 0;
  }
}

/** The thread pool may be quicker. */
function retireQuietly(file: JournalFile): void {
  try {
    file.retireNow();
  } catch {
    // As where the thread pool can't: its rows are settled.
  }
}
