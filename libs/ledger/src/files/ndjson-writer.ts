import { access, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { PartlyWrittenError } from '../errors/partly-written.error.js';
import { createFile } from './create-file.js';
import { fileNameOf, finishedPath, OPEN_ENDING, type FileKind } from './file-names.js';
import { prepareFolder } from './private-folder.js';
import { tryFolder } from './try-folder.js';

/** A file is finished at this size, and the next one begins. */
const MAX_FILE_BYTES = 64 * 1_048_576;
/** Lines are written to the disk in blocks of about this size. */
const BLOCK_BYTES = 262_144;

/** @internal */
export interface NdjsonWriterOptions {
  /** Created when first needed. */
  readonly dir: string;
  readonly kind: FileKind;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Default: 64 MiB. A file may be one block larger. */
  readonly maxFileBytes?: number;
  /** Called after each write with whether the file system accepted it. */
  readonly onWrite?: (isTaken: boolean) => void;
}

/** A file being written; its name ends in `.open` until it is finished. */
interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  bytes: number;
}

/**
 * Writes lines to files that remain readable after a crash: fsynced, one JSON value a line, named
 * by ledger, host, pid and boot time, `.open` while being written, with a new file at 64 MiB.
 *
 * No file -> open (`write`) -> finished (`finish`, the size, or a failed write).
 *
 * @internal
 */
export class NdjsonWriter {
  readonly #options: NdjsonWriterOptions;
  readonly #name: string;
  #number = 0;
  #file: OpenFile | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: NdjsonWriterOptions) {
    this.#options = options;
    this.#name = fileNameOf(options.kind, options.ledger);
  }

  get dir(): string {
    return this.#options.dir;
  }

  /**
   * Appends lines and fsyncs. Calls run one after the other.
   *
   * @param lines JSON texts without a line break; read in portions
   * @returns written lines, and the final path of the first file used
   * @throws PartlyWrittenError if some were written before the file system refused more; else its
   *   own error
   */
  write(lines: Iterable<string>): Promise<{ lines: number; file: string }> {
    const { onWrite } = this.#options;
    return this.#exclusively(async () => {
      try {
        const written = await this.#write(lines);
        onWrite?.(true);
        return written;
      } catch (error) {
        onWrite?.(false);
        throw error;
      }
    });
  }

  /** Gives the open file its final name. @throws the file system's error */
  finish(): Promise<void> {
    return this.#exclusively(() => this.#finish());
  }

  /**
   * Creates the folder, writes a file there, fsyncs it and removes it.
   *
   * @returns what other users can do to files there; undefined: nothing
   * @throws UnsafeFolderError, or the file system's error
   */
  async probe(): Promise<string | undefined> {
    const risk = await prepareFolder(this.dir);
    await tryFolder(this.dir);
    await syncFolder(this.dir);
    return risk;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #write(lines: Iterable<string>): Promise<{ lines: number; file: string }> {
    let count = 0;
    let kept = 0;
    let block = '';
    let file: string | undefined;
    const append = async (): Promise<string> => {
      try {
        return await this.#append(block, file);
      } catch (error) {
        throw file === undefined ? error : new PartlyWrittenError(kept, file, error);
      }
    };
    for (const line of lines) {
      block += `${line}\n`;
      count += 1;
      if (block.length >= BLOCK_BYTES) {
        file = await append();
        kept = count;
        block = '';
      }
    }
    if (block !== '' || file === undefined) file = await append();
    await this.#file?.handle.sync();
    return { lines: count, file };
  }

  /** @returns the final path of the first file that this call of `write` used */
  async #append(block: string, first: string | undefined): Promise<string> {
    const file = (this.#file ??= await this.#open());
    const bytes = Buffer.from(block);
    try {
      await file.handle.writeFile(bytes);
    } catch (error) {
      await this.#repair(file);
      throw error;
    }
    file.bytes += bytes.length;
    if (file.bytes >= (this.#options.maxFileBytes ?? MAX_FILE_BYTES)) await this.#finish();
    return first ?? finishedPath(file.path);
  }

  async #open(): Promise<OpenFile> {
    await prepareFolder(this.dir);
    for (;;) {
      this.#number += 1;
      const path = join(this.dir, `${this.#name}-${this.#number}.ndjson${OPEN_ENDING}`);
      const handle = await createFile(path);
      // Another ledger with this name and process uses it: the next number is free.
      if (handle === undefined) continue;
      // Checked only now: a file is finished under its own name, which this open file now reserves.
      if (await exists(finishedPath(path))) {
        await handle.close();
        await rm(path);
        continue;
      }
      await syncFolder(this.dir);
      return { handle, path, bytes: 0 };
    }
  }

  async #finish(): Promise<void> {
    const file = this.#file;
    if (!file) return;
    await file.handle.sync();
    this.#file = undefined;
    await file.handle.close();
    await rename(file.path, finishedPath(file.path));
    await syncFolder(this.dir);
  }

  /** Cuts off the half line left by a full disk, and lets the next write try a new file. */
  async #repair(file: OpenFile): Promise<void> {
    try {
      await file.handle.truncate(file.bytes);
      await this.#finish();
    } catch {
      // A reader skips a half-written last line; the file keeps the name of an unfinished one.
      this.#file = undefined;
      await file.handle.close().catch(() => {});
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Otherwise a crash of the machine could lose the file's name, though not its bytes. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
