import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pause, type Clock } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { isOtherHistory, type ServerHistory } from '../segments/settled-frame.js';
import type { GivenFields } from './fit-row.js';
import {
  byAge,
  isJournalFile,
  OWNER_FILE,
  RELEASED_FILE,
  REPLAY_ALL_FILE,
} from './folder-names.js';
import { ReplayedFile } from './replayed-file.js';
import type { RecoveredBlock } from './recovered-block.js';
import { readLastSettled, readStart, replayFile } from './replay-file.js';

/**
 * A file that has not grown for this long has its last row, because its owner gives signs of life
 * more often.
 */
const STILL_MS = 1000;

/** A bad block, a mode, a link or a non-file: the other files can still be read. */
const UNREADABLE = new Set(['EIO', 'EACCES', 'EPERM', 'ELOOP', 'ENOTFILE']);

/** Parts of the replay of a folder. @internal */
export interface FolderReplayParts {
  readonly path: string;
  readonly table: LedgerTable;
  /** Values for columns that a file does not have. */
  readonly given: GivenFields;
  readonly clock: Clock;
  /** Removes files. */
  readonly files: Pick<JournalFiles, 'unlink' | 'rename'>;
  /** Maximum rows of a batch. */
  readonly batchRows: number;
  /** False: the owner may only be suspended, and may add a last frame. */
  readonly isOwnerGone: boolean;
  /**
   * Replays every row, settled or not; otherwise settled rows are replayed only if they went to
   * another server.
   */
  readonly replaysAll: boolean;
  /** The server that takes the rows, if known. */
  readonly server: ServerHistory;
  /** Milliseconds that files are kept after their rows are settled. */
  readonly keepMs: number;
  /** Gives a block to the workers; resolves once there is room for the next. */
  readonly give: (block: RecoveredBlock) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Result of a folder's replay. @internal */
export interface FolderReport {
  /** Rows given to workers. */
  readonly rows: number;
  readonly files: readonly ReplayedFile[];
  /** Whether settled rows were included, because the promoted server may lack them. */
  readonly isWhole: boolean;
  /** Whether files were kept whose rows are all settled. */
  readonly isKept: boolean;
  /** Error code with which the file system refused to remove a file or the folder. */
  readonly stuck: string | undefined;
}

/**
 * Replays one adopted folder: every unsettled row, oldest file first. Each file is removed once its
 * rows are settled, and the folder once it is empty.
 *
 * @internal
 */
export class FolderReplay {
  readonly #parts: FolderReplayParts;
  readonly #files = new Map<string, ReplayedFile>();
  readonly #finishing = new Map<ReplayedFile, Promise<void>>();
  #rows = 0;
  /** Whether settled rows are also replayed, so that any row may be in the table. */
  #isWhole = false;
  #isKept = false;
  /** Paths of all files at the last read of the folder, oldest first. */
  #paths: readonly string[] = [];

  constructor(parts: FolderReplayParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when all rows are settled, or the signal is aborted.
   *
   * @throws the file system's error; ENOENT if another process took the folder
   */
  async run(): Promise<FolderReport> {
    const { signal, path } = this.#parts;
    const end = (): void => this.#files.forEach((file) => file.endWaits());
    signal.addEventListener('abort', end);
    try {
      const settledUntil = await this.#settledUntil();
      await this.#readAll(settledUntil);
      for (const file of this.#files.values()) await this.#finish(file);
      const unremoved = signal.aborted ? undefined : await stuckCode(path);
      const files = [...this.#files.values()];
      const stuck = files.find((file) => file.stuck !== undefined)?.stuck ?? unremoved;
      return { rows: this.#rows, files, isWhole: this.#isWhole, isKept: this.#isKept, stuck };
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  /** Reads until no more rows come: a suspended owner may still add some. */
  async #readAll(settledUntil: number): Promise<void> {
    const { isOwnerGone, signal, clock } = this.#parts;
    for (let before = ''; ;) {
      await this.#readNew(settledUntil);
      if (isOwnerGone || signal.aborted) return;
      for (const file of this.#files.values()) await this.#settled(file);
      await pause(clock, STILL_MS);
      const sizes = await this.#sizes();
      if (sizes === before) return;
      before = sizes;
    }
  }

  /** The last settled frame is in one of the last files, because one is written every second. */
  async #settledUntil(): Promise<number> {
    const { path, replaysAll, server } = this.#parts;
    this.#isWhole = replaysAll;
    for (const name of (await this.#names()).toReversed()) {
      const settled = await readLastSettled(join(path, name)).catch((error: unknown) => {
        // An older file has a lower position: some rows are written once more, as duplicates.
        unreadableCode(error);
        return undefined;
      });
      if (settled === undefined) continue;
      this.#isWhole ||= isOtherHistory(settled, server);
      return this.#isWhole ? 0 : settled.position;
    }
    return 0;
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#parts.path)).filter(isJournalFile).sort(byAge);
  }

  async #readNew(settledUntil: number): Promise<void> {
    const { signal, isOwnerGone, path } = this.#parts;
    const names = await this.#names();
    this.#paths = names.map((name) => join(path, name));
    for (const name of names) {
      const file = this.#fileOf(name);
      if (file.unreadable !== undefined) continue;
      try {
        await this.#readFile(file, settledUntil);
      } catch (error) {
        // One bad block of the disk must not keep the other files out of the table.
        file.unreadable = unreadableCode(error);
      }
      if (signal.aborted) return;
      // The end of the replay awaits it, and throws.
      if (isOwnerGone) this.#finish(file).catch(() => undefined);
    }
  }

  async #readFile(file: ReplayedFile, settledUntil: number): Promise<void> {
    const { table, given, batchRows, clock, give, signal } = this.#parts;
    const monotonicOf = (wallMs: number): number => clock.monotonic() - (clock.now() - wallMs);
    const replay = { file, table, given, settledUntil, batchRows, monotonicOf };
    for await (const block of replayFile(replay)) {
      this.#rows += block.rows;
      block.mayExist = this.#isWhole;
      await give(block);
      if (signal.aborted) return;
    }
  }

  #fileOf(name: string): ReplayedFile {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const file = new ReplayedFile(join(this.#parts.path, name), this.#parts.files);
    this.#files.set(name, file);
    return file;
  }

  async #sizes(): Promise<string> {
    const names = await this.#names();
    const stats = await Promise.all(names.map((name) => stat(join(this.#parts.path, name))));
    return names.map((name, index) => `${name}:${stats[index]!.size}`).join('|');
  }

  #finish(file: ReplayedFile): Promise<void> {
    const finishing = this.#finishing.get(file) ?? this.#finishOnce(file);
    this.#finishing.set(file, finishing);
    return finishing;
  }

  async #finishOnce(file: ReplayedFile): Promise<void> {
    await this.#judgeEnd(file);
    await this.#settled(file);
    if (this.#parts.signal.aborted) return;
    if (await this.#isToBeKept(file)) this.#isKept = true;
    else await file.finish();
  }

  /**
   * A kill cuts off the last file. For any other file, the rows after its end are in the next one,
   * for example if the disk refused half a frame. Otherwise rows are missing.
   */
  async #judgeEnd(file: ReplayedFile): Promise<void> {
    if (file.tornAt === undefined || file.damage !== undefined) return;
    const next = this.#paths[this.#paths.indexOf(file.path) + 1];
    if (next === undefined) return;
    const { settledUntil, firstRow } = await readStart(next);
    if (firstRow > Math.max(file.end, settledUntil)) {
      file.damage = `cut off at byte ${file.tornAt}, and rows are missing before the next file`;
    }
  }

  /** Whether to keep a file, because a standby that is promoted later may lack its rows. */
  async #isToBeKept({ path, staysInPlace, damage }: ReplayedFile): Promise<boolean> {
    const { keepMs, clock } = this.#parts;
    if (keepMs === 0 || staysInPlace || damage !== undefined) return false;
    const { mtimeMs } = await stat(path);
    return clock.now() - mtimeMs < keepMs;
  }

  /** Waits for a file's rows; a stop ends the wait. */
  async #settled(file: ReplayedFile): Promise<void> {
    if (!this.#parts.signal.aborted) await file.settled();
  }
}

/** @returns the code of a lasting error of one file @throws every other error */
function unreadableCode(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!UNREADABLE.has(code)) throw error;
  return code;
}

/**
 * Removes a folder with nothing left.
 * @returns the code of the error if it stays
 * @throws ENOENT: another process has it
 */
async function stuckCode(path: string): Promise<string | undefined> {
  try {
    await removeFolder(path);
    return undefined;
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw error;
    return code;
  }
}

/**
 * Removes a folder that contains only the owner's record and markers; any other folder stays.
 * @internal
 */
export async function removeFolder(path: string): Promise<void> {
  const names = await readdir(path);
  const isOwn = (name: string): boolean =>
    [RELEASED_FILE, REPLAY_ALL_FILE].includes(name) ||
    name === OWNER_FILE ||
    name.startsWith(`${OWNER_FILE}.`);
  if (!names.every(isOwn)) return;
  for (const name of names) await unlink(join(path, name));
  await rmdir(path);
}
