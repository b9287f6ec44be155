import type { RowRange } from '../channel/batch.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { checksumOf } from '../segments/checksum.js';
import {
  encodeFileHeader,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  writeFrameHeader,
} from '../segments/segment-format.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import { encodeSettled, type SettledFrame } from '../segments/settled-frame.js';
import { unwrittenParts } from '../segments/unwritten-parts.js';
import { damagedPath } from './folder-names.js';
import { JournalDescriptor } from './journal-descriptor.js';
import { writeAll } from './write-all.js';

/**
 * Frames up to this size are copied after their header and written by one plain write. This is
 * cheaper than a gathering write. Source: `npm run bench -- journal`, entries of 150 bytes, one a
 * write.
 */
const COPIED_BYTES = 65_536;
const scratch = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + COPIED_BYTES);

/** Consecutive rows as bytes. @internal */
export interface FrameRows {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Position of the first row in the run. */
  readonly position: number;
}

/** The rows of a slab's range, without a copy. @internal */
export function rowsOfRange({ slab, from, to, position }: RowRange): FrameRows {
  const bytes = slab.bytes.subarray(slab.startOf(from), slab.endOf(to - 1));
  return { bytes, count: to - from, position };
}

/** One file of the journal: a header, then whole frames in order. @internal */
export class JournalFile {
  readonly path: string;
  /** Offset of the first frame. */
  readonly start: number;
  /** Seed of its frames. */
  readonly seed: number;
  /** The next file of the journal. */
  next: JournalFile | undefined;
  /** Bytes of the header and the whole frames. */
  bytes: number;
  /** Position after the last row; undefined without a row. */
  end: number | undefined;
  /** Whether bytes were written since the start of the last sync. */
  needsSync = true;
  /** Whether the file takes no more frames. */
  isFinished = false;
  /** Why rows in it can't be read back. Such a file is set aside instead of unlinked. */
  damage: string | undefined;
  /** Whether a write in the thread pool is in progress. */
  isBusy = false;
  /** Number of syncs in progress in the thread pool. */
  #syncs = 0;

  readonly #files: JournalFiles;
  readonly #descriptor: JournalDescriptor;

  private constructor(files: JournalFiles, path: string, descriptor: number, header: FileHeader) {
    this.path = path;
    this.#files = files;
    this.#descriptor = new JournalDescriptor(files, path, descriptor);
    this.seed = header.seed;
    this.start = header.bytes.length;
    this.bytes = this.start;
  }

  /**
   * Creates a file with its header.
   *
   * @returns undefined if the name is taken
   * @throws the file system's error; the file then does not exist, unless its removal failed too
   */
  static create(
    files: JournalFiles,
    path: string,
    description: SegmentDescription,
  ): JournalFile | undefined {
    const descriptor = files.create(path);
    if (descriptor === undefined) return undefined;
    const header = encodeFileHeader(JSON.stringify(description));
    try {
      writeAll(files, descriptor, header.bytes);
      return new JournalFile(files, path, descriptor, header);
    } catch (error) {
      files.close(descriptor);
      files.unlinkNow(path);
      throw error;
    }
  }

  /** Whether all written bytes are synced, or their sync is in progress. */
  get isSynced(): boolean {
    return !this.needsSync && !this.isBusy;
  }

  get #open(): number {
    return this.#descriptor.current;
  }

  /**
   * Appends rows as one frame of at most 16 MiB.
   * @throws the file system's error; the file still ends with a whole frame
   */
  append(rows: FrameRows): void {
    const { bytes } = rows;
    if (bytes.length > COPIED_BYTES) {
      this.#write([this.#headerOf(rows, Buffer.allocUnsafe(FRAME_HEADER_BYTES)), bytes]);
    } else {
      this.#headerOf(rows, scratch);
      scratch.set(bytes, FRAME_HEADER_BYTES);
      this.#writeOne(scratch, FRAME_HEADER_BYTES + bytes.length);
    }
    this.#noteRows(rows);
  }

  /** Like `append`, in the thread pool; the rows' bytes must not change until it is done. */
  async appendLater(rows: FrameRows): Promise<void> {
    const header = this.#headerOf(rows, Buffer.allocUnsafe(FRAME_HEADER_BYTES));
    this.isBusy = true;
    try {
      await this.#descriptor.using(() => this.#writeLater([header, rows.bytes]));
    } finally {
      this.isBusy = false;
    }
    this.bytes += FRAME_HEADER_BYTES + rows.bytes.length;
    // A file that was given up meanwhile is closed: its rows are written elsewhere.
    this.needsSync = !this.#descriptor.isResting;
    this.#noteRows(rows);
  }

  async #writeLater(parts: readonly Uint8Array[]): Promise<void> {
    let rest = parts;
    try {
      while (rest.length > 0) {
        rest = unwrittenParts(rest, await this.#files.writeLater(this.#open, rest));
      }
    } catch (error) {
      this.#cutOff();
      throw error;
    }
  }

  /**
   * Appends a settled frame.
   * @throws the file system's error; the file still ends with a whole frame
   */
  appendSettled(settled: SettledFrame): void {
    this.#writeOne(encodeSettled(settled, this.seed));
  }

  #headerOf({ bytes, count, position }: FrameRows, target: Buffer): Buffer {
    const crc = checksumOf(bytes, 0, bytes.length);
    const frame = { kind: FRAME_KINDS.rows, bytes: bytes.length, rows: count, crc, position };
    writeFrameHeader(frame, this.seed, target);
    return target;
  }

  #noteRows({ position, count }: FrameRows): void {
    this.end = Math.max(this.end ?? 0, position + count);
  }

  #writeOne(bytes: Uint8Array, length = bytes.length): void {
    try {
      writeAll(this.#files, this.#open, bytes, length);
    } catch (error) {
      this.#cutOff();
      throw error;
    }
    this.bytes += length;
    this.needsSync = true;
  }

  #write(parts: readonly Uint8Array[]): void {
    let rest = parts;
    try {
      while (rest.length > 0) {
        rest = unwrittenParts(rest, this.#files.writeMany(this.#open, rest));
      }
    } catch (error) {
      this.#cutOff();
      throw error;
    }
    for (const { length } of parts) this.bytes += length;
    this.needsSync = true;
  }

  /** Removes half a frame, which would be torn. If that fails, a reader ignores it. */
  #cutOff(): void {
    try {
      this.#files.truncate(this.#open, this.bytes);
    } catch {
      // The reader detects the end.
    }
  }

  /**
   * Unlinks the file, or sets it aside if rows in it were not read back.
   * @throws the file system's error
   */
  retireNow(): void {
    if (this.damage === undefined) this.#files.unlinkNow(this.path);
    else this.#files.rename(this.path, damagedPath(this.path));
  }

  /** Like `retireNow`, in the thread pool. @throws the file system's error */
  async retire(): Promise<void> {
    if (this.damage === undefined) return this.#files.unlink(this.path);
    this.retireNow();
  }

  /** Keeps the file open during reads. @throws the file system's error */
  reading<T>(work: () => AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    return this.#descriptor.reading(work);
  }

  /**
   * Reads bytes, within `reading`; returns fewer at the end of the file.
   * @throws the file system's error
   */
  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const rest = bytes.subarray(filled);
      const read = await this.#files.read(this.#open, rest, offset + filled);
      if (read === 0) break;
      filled += read;
    }
    return bytes.subarray(0, filled);
  }

  /** Whether a sync in the thread pool is in progress. */
  get isSyncing(): boolean {
    return this.#syncs > 0;
  }

  /**
   * Syncs all bytes written so far; does nothing if there are none. A file whose sync failed must
   * not be synced again.
   */
  async sync(): Promise<void> {
    if (!this.needsSync) return;
    this.needsSync = false;
    this.#syncs++;
    try {
      await this.#descriptor.using(() => this.#files.sync(this.#open));
    } finally {
      this.#syncs--;
    }
  }

  /** Like `sync`, without the thread pool. */
  syncNow(): void {
    this.needsSync = false;
    this.#files.syncNow(this.#open);
  }

  /**
   * Closes the descriptor once no call uses it. Nothing more is written or synced, and reads open
   * the file again. A second call does nothing. Never throws.
   */
  rest(): void {
    this.#descriptor.rest();
  }
}

interface FileHeader {
  readonly bytes: Buffer;
  readonly seed: number;
}
