import { randomBytes } from 'node:crypto';
import { access, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { PartlyWrittenError } from '../errors/partly-written.error.js';
import { createFile } from './create-file.js';
import { fileNameOf, finishedPath, OPEN_ENDING, type FileKind } from './file-names.js';
import { prepareFolder } from './private-folder.js';

/** A file is finished at this size, and the next one begun. */
const MAX_FILE_BYTES = 64 * 1_048_576;
/** Lines are handed to the disk in blocks of about this size. */
const BLOCK_BYTES = 262_144;
/** Nobody can guess such a name, and put something else in its place. */
const RANDOM_BYTES = 16;

/** @internal */
export interface NdjsonWriterOptions {
  /** Created when it is first needed. */
  readonly dir: string;
  readonly kind: FileKind;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Default: 64 MiB. A file may be one block larger. */
  readonly maxFileBytes?: number;
  /** Told after each write whether the file system took it. */
  readonly onWrite?: (isTaken: boolean) => void;
}

/** A file that is being written; its name ends in `.open` until it is finished. */
interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  bytes: number;
}

/**
 * Writes lines to files that a crash leaves readable: fsynced, one JSON value a line, named by
 * ledger, host, pid and boot time, `.open` while being written, begun anew at 64 MiB.
 *
 * No file -> open (`write`) -> finished (`finish`, the size, or a write that failed).
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
   * @param lines JSON texts without a line break; taken bit by bit
   * @returns lines written, and the path that the first of them has when its file is finished
   * @throws PartlyWrittenError if some were written before the file system refused more; else its
   * own error
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
   * @returns what others can do to files there; undefined: nothing
   * @throws UnsafeFolderError, or the file system's error
   */
  async probe(): Promise<string | undefined> {
    const risk = await prepareFolder(this.dir);
    const path = join(this.dir, `.probe-${randomBytes(RANDOM_BYTES).toString('hex')}`);
    const handle = await createFile(path);
    if (handle === undefined) throw Object.assign(new Error('taken'), { code: 'EEXIST' });
    try {
      await handle.writeFile('{}\n');
      await handle.sync();
    } finally {
      await handle.close();
      await rm(path, { force: true });
    }
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
      // Another ledger of this name and process has it: the next number is free.
      if (handle === undefined) continue;
      // Only now: a file is finished under the name that it had, which this one has from here on.
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

  /** Cuts off the half line that a full disk left, and lets the next write try a new file. */
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

/** Without this a crash of the machine may take the file's name along, though not its bytes. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
