import { crc32 } from 'node:zlib';
import type { RowRange } from '../channel/batch.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import {
  encodeFileHeader,
  FRAME_HEADER_BYTES,
  FRAME_KINDS,
  writeFrameHeader,
} from '../segments/segment-format.js';
import type { SegmentDescription } from '../segments/segment-description.js';
import { encodeSettled, type SettledFrame } from '../segments/settled-frame.js';
import { damagedPath } from './folder-names.js';
import { JournalDescriptor } from './journal-descriptor.js';

/**
 * A frame up to this size is copied behind its header and written by one plain write, which costs less
 * than a gathering one. Source: `npm run bench -- journal`, entries of 150 bytes, one a write.
 */
const COPIED_BYTES = 65_536;
const scratch = Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + COPIED_BYTES);

/** Consecutive rows as bytes. @internal */
export interface FrameRows {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Position in the run of the first row. */
  readonly position: number;
}

/** The rows of a slab's range; nothing is copied. @internal */
export function rowsOfRange({ slab, from, to, position }: RowRange): FrameRows {
  const bytes = slab.bytes.subarray(slab.startOf(from), slab.endOf(to - 1));
  return { bytes, count: to - from, position };
}

/** One file of the journal: whole frames behind a header, written in order. @internal */
export class JournalFile {
  readonly path: string;
  /** Offset of the first frame. */
  readonly start: number;
  /** What its frames are seeded with. */
  readonly seed: number;
  /** The file that was begun after this one. */
  next: JournalFile | undefined;
  /** Header and whole frames. */
  bytes: number;
  /** Position behind the last row; undefined while there is none. */
  end: number | undefined;
  /** Bytes came since the last sync began. */
  needsSync = true;
  /** No frame comes any more. */
  isFinished = false;
  /** Why rows in it can't be read back: it is not unlinked, but set aside. */
  damage: string | undefined;
  /** A write in the thread pool is under way. */
  isBusy = false;
  /** Syncs in the thread pool that are under way. */
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
   * @throws the file system's error; there is no file then, unless it can't be removed either
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
      writeAll(header.bytes, (rest) => files.write(descriptor, rest));
      return new JournalFile(files, path, descriptor, header);
    } catch (error) {
      files.close(descriptor);
      files.unlinkNow(path);
      throw error;
    }
  }

  /** Whether all that was written is synced, or the sync is under way. */
  get isSynced(): boolean {
    return !this.needsSync && !this.isBusy;
  }

  get #open(): number {
    return this.#descriptor.current;
  }

  /** Appends rows as one frame of at most 16 MiB. @throws the file system's error; the file ends with whole frames */
  append(rows: FrameRows): void {
    const { bytes } = rows;
    if (bytes.length > COPIED_BYTES) {
      this.#write([this.#headerOf(rows, Buffer.allocUnsafe(FRAME_HEADER_BYTES)), bytes]);
    } else {
      this.#headerOf(rows, scratch);
      scratch.set(bytes, FRAME_HEADER_BYTES);
      this.#writeOne(scratch.subarray(0, FRAME_HEADER_BYTES + bytes.length));
    }
    this.#noteRows(rows);
  }

  /** As `append`, in the thread pool; the rows' bytes must stay as they are until it is done. */
  async appendLater(rows: FrameRows): Promise<void> {
    const header = this.#headerOf(rows, Buffer.allocUnsafe(FRAME_HEADER_BYTES));
    this.isBusy = true;
    try {
      await this.#descriptor.using(() => this.#writeLater([header, rows.bytes]));
    } finally {
      this.isBusy = false;
    }
    this.bytes += FRAME_HEADER_BYTES + rows.bytes.length;
    // One that was given up meanwhile is closed by now: its rows are written elsewhere.
    this.needsSync = !this.#descriptor.isResting;
    this.#noteRows(rows);
  }

  async #writeLater(parts: readonly Uint8Array[]): Promise<void> {
    let rest = parts;
    try {
      while (rest.length > 0) {
        rest = behind(rest, await this.#files.writeLater(this.#open, rest));
      }
    } catch (error) {
      this.#cutOff();
      throw error;
    }
  }

  /** Appends a settled frame. @throws the file system's error; the file ends with whole frames */
  appendSettled(settled: SettledFrame): void {
    this.#writeOne(encodeSettled(settled, this.seed));
  }

  #headerOf({ bytes, count, position }: FrameRows, target: Buffer): Buffer {
    const crc = crc32(bytes);
    const frame = { kind: FRAME_KINDS.rows, bytes: bytes.length, rows: count, crc, position };
    writeFrameHeader(frame, this.seed, target);
    return target;
  }

  #noteRows({ position, count }: FrameRows): void {
    this.end = Math.max(this.end ?? 0, position + count);
  }

  #writeOne(bytes: Uint8Array): void {
    try {
      writeAll(bytes, (rest) => this.#files.write(this.#open, rest));
    } catch (error) {
      this.#cutOff();
      throw error;
    }
    this.bytes += bytes.length;
    this.needsSync = true;
  }

  #write(parts: readonly Uint8Array[]): void {
    let rest = parts;
    try {
      while (rest.length > 0) {
        rest = behind(rest, this.#files.writeMany(this.#open, rest));
      }
    } catch (error) {
      this.#cutOff();
      throw error;
    }
    for (const { length } of parts) this.bytes += length;
    this.needsSync = true;
  }

  /** Half a frame would be torn; where it can't be cut off, a reader does it. */
  #cutOff(): void {
    try {
      this.#files.truncate(this.#open, this.bytes);
    } catch {
      // The reader finds the end.
    }
  }

  /** Frees its place, or sets it aside where rows in it were not read back. @throws the file system's error */
  retireNow(): void {
    if (this.damage === undefined) this.#files.unlinkNow(this.path);
    else this.#files.rename(this.path, damagedPath(this.path));
  }

  /** As `retireNow`, in the thread pool. @throws the file system's error */
  async retire(): Promise<void> {
    if (this.damage === undefined) return this.#files.unlink(this.path);
    this.retireNow();
  }

  /** Keeps the file open while work reads from it. @throws the file system's error */
  reading<T>(work: () => AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    return this.#descriptor.reading(work);
  }

  /** Reads bytes, within `reading`; fewer at the end of the file. @throws the file system's error */
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

  /** A sync in the thread pool is under way. */
  get isSyncing(): boolean {
    return this.#syncs > 0;
  }

  /**
   * Syncs what was written until now; nothing where that is not needed any more. A file whose sync failed must
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

  /** As `sync`, at once. */
  syncNow(): void {
    this.needsSync = false;
    this.#files.syncNow(this.#open);
  }

  /**
   * Gives the descriptor back, once no call uses it: nothing is written or synced any more, and to be read the
   * file is opened again. Calling it again does nothing. Never throws.
   */
  rest(): void {
    this.#descriptor.rest();
  }
}

interface FileHeader {
  readonly bytes: Buffer;
  readonly seed: number;
}

/** The file system may take a part only, as where the disk is nearly full. */
function writeAll(bytes: Uint8Array, write: (rest: Uint8Array) => number): void {
  for (let written = write(bytes); written < bytes.length;) {
    written += write(bytes.subarray(written));
  }
}

function behind(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let left = bytes;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left < part.length) rest.push(left === 0 ? part : part.subarray(left));
    left = Math.max(0, left - part.length);
  }
  return rest;
}
