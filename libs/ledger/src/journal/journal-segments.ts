import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import type { SettledFrame } from '../segments/settled-frame.js';
import type { EarlierFiles } from './earlier-files.js';
import { JournalFile } from './journal-file.js';
import type { JournalFolder } from './journal-folder.js';

/** Size from which on a file takes no more frames. */
export const SEGMENT_BYTES = 16 * 1_048_576;

/** The files of a journal have reached their limit. @internal */
export class JournalFullError extends Error {
  readonly code = 'JOURNAL_FULL';
}

/** Parts of a run's files. @internal */
export interface JournalSegmentsParts {
  readonly files: JournalFiles;
  readonly folder: JournalFolder;
  /** Maximum bytes of all files together, including those of earlier runs. */
  readonly maxBytes: number;
  readonly earlier: Pick<EarlierFiles, 'bytes'>;
  readonly keepMs: number;
  /** Whether files are synced, and closed only after that. */
  readonly syncs: boolean;
  /** Called for each file. */
  readonly describe: () => SegmentDescription;
  /** First frame of a file. */
  readonly settled: () => SettledFrame;
}

interface OlderFile {
  readonly file: JournalFile;
  /** Bytes as counted so far: a write in progress in the thread pool adds to the file's own. */
  bytes: number;
  /** Monotonic milliseconds. */
  settledAt: number | undefined;
}

/**
 * The files of a run's folder: one that takes frames, and older ones. An older file is unlinked
 * `keepMs` after all its rows are settled.
 *
 * @internal
 */
export class JournalSegments {
  readonly #parts: JournalSegmentsParts;
  #current: JournalFile | undefined;
  /** Oldest first. */
  #older: OlderFile[] = [];
  #olderBytes = 0;
  /** Bytes of older files whose rows are settled: read for each entry. */
  #settledBytes = 0;
  /** Files that the thread pool is unlinking: until then the folder is not empty. */
  readonly #retiring = new Set<JournalFile>();
  /** The last finished file. */
  #last: JournalFile | undefined;

  constructor(parts: JournalSegmentsParts) {
    this.#parts = parts;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#olderBytes + (this.#current?.bytes ?? 0);
  }

  /** Bytes of files that can't be unlinked yet. */
  get heldBytes(): number {
    return this.bytes - this.#settledBytes;
  }

  get count(): number {
    return this.#older.length + (this.#current === undefined ? 0 : 1);
  }

  /** The file that takes frames; undefined: the next frame starts one. */
  get current(): JournalFile | undefined {
    return this.#current;
  }

  /** Files with unsynced bytes. */
  get unsynced(): JournalFile[] {
    const files = this.#older.map(({ file }) => file);
    if (this.#current !== undefined) files.push(this.#current);
    return files.filter(({ needsSync }) => needsSync);
  }

  /**
   * The file for the next frame.
   * @throws JournalFullError if there is no room for another file; the file system's error
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

  /**
   * Makes room for a file. Settled files are only kept for later use, so they are unlinked first.
   */
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

  /** Finishes the current file: it takes no more frames. */
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
   * Finishes a file that the thread pool is writing or syncing, so that the next frame starts
   * another. If a file is synced twice at the same time, the kernel reports a failure to only one
   * sync.
   */
  setBusyAside(): void {
    if (this.#current?.isBusy === true || this.#current?.isSyncing === true) this.finish();
  }

  /**
   * Stops all writes and syncs of existing files: one may end with half a frame, or its sync
   * failed.
   */
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

  /** @param older its rows are settled */
  #unlink({ file, bytes }: OlderFile): void {
    this.#olderBytes -= bytes;
    this.#settledBytes -= bytes;
    file.rest();
    // A file that stays has only settled rows: if they are written again, they are duplicates.
    this.#retiring.add(file);
    const end = (): boolean => this.#retiring.delete(file);
    file.retire().then(end, end);
  }

  /**
   * Ends all files, and unlinks those whose rows are settled without a wait.
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

  /**
   * Forgets files that now belong to another process: they are no longer written, synced or
   * unlinked.
   */
  forget(): void {
    this.giveUp();
    this.#older = [];
    this.#olderBytes = 0;
    this.#settledBytes = 0;
  }
}

/** The thread pool may have been quicker. */
function retireQuietly(file: JournalFile): void {
  try {
    file.retireNow();
  } catch {
    // As after a failure in the thread pool: the rows are settled.
  }
}
