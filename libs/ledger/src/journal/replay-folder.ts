import { readdir, rmdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { pause, type Clock } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import { isOtherHistory, type ServerHistory } from '../segments/settled-frame.js';
import type { GivenFields } from './fit-row.js';
import { isJournalFile, OWNER_FILE, RELEASED_FILE, REPLAY_ALL_FILE } from './folder-names.js';
import { ReplayedFile } from './replayed-file.js';
import type { RecoveredBlock } from './recovered-block.js';
import { readLastSettled, readStart, replayFile } from './replay-file.js';

/** A file that did not grow for so long has its last row: its owner gives signs of life more often. */
const STILL_MS = 1000;

/** A bad block, a mode, a link or what is no file: the other files can be read all the same. */
const UNREADABLE = new Set(['EIO', 'EACCES', 'EPERM', 'ELOOP', 'ENOTFILE']);

/** What the replay of a folder is made of. @internal */
export interface FolderReplayParts {
  readonly path: string;
  readonly table: LedgerTable;
  /** For columns that a file does not have. */
  readonly given: GivenFields;
  readonly clock: Clock;
  /** Removes files. */
  readonly files: Pick<JournalFiles, 'unlink' | 'rename'>;
  /** Rows of a batch at most. */
  readonly batchRows: number;
  /** False: the owner may be stopped and not gone, and add a last frame. */
  readonly isOwnerGone: boolean;
  /** Every row, settled or not; without it only where the rows went to another server than this one. */
  readonly replaysAll: boolean;
  /** The server that takes the rows, as far as it is known. */
  readonly server: ServerHistory;
  /** Milliseconds that files are kept once their rows are settled. */
  readonly keepMs: number;
  /** Takes a block to the workers; resolves once there is room for the next. */
  readonly give: (block: RecoveredBlock) => Promise<void>;
  readonly signal: AbortSignal;
}

/** What became of a folder. @internal */
export interface FolderReport {
  /** Rows that were given to workers. */
  readonly rows: number;
  readonly files: readonly ReplayedFile[];
  /** Settled rows were among them: the server that was promoted may not have them. */
  readonly isWhole: boolean;
  /** Files were left whose rows are all settled. */
  readonly isKept: boolean;
  /** Code of the error with which the file system refused to remove a file or the folder. */
  readonly stuck: string | undefined;
}

/**
 * Replays one adopted folder: every row that is not settled, oldest file first. Each file goes once its rows
 * are settled, the folder once it is empty.
 *
 * @internal
 */
export class FolderReplay {
  readonly #parts: FolderReplayParts;
  readonly #files = new Map<string, ReplayedFile>();
  readonly #finishing = new Map<ReplayedFile, Promise<void>>();
  #rows = 0;
  /** Settled rows are replayed too, so that any may be in the table. */
  #isWhole = false;
  #isKept = false;
  /** Of all files when the folder was read last, oldest first. */
  #paths: readonly string[] = [];

  constructor(parts: FolderReplayParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when all is settled, or the signal came.
   *
   * @throws the file system's error: of a folder that another process took, ENOENT
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

  /** Reads until nothing comes any more: of an owner that is only stopped, more may. */
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

  /** The last settled frame is in one of the last files, since one is written every second. */
  async #settledUntil(): Promise<number> {
    const { path, replaysAll, server } = this.#parts;
    this.#isWhole = replaysAll;
    for (const name of (await this.#names()).toReversed()) {
      const settled = await readLastSettled(join(path, name)).catch((error: unknown) => {
        // An older file says less: rows are written once more, and are duplicates.
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
    return (await readdir(this.#parts.path)).filter(isJournalFile).sort();
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
        // One bad block of the disk must not keep the other files from the table.
        file.unreadable = unreadableCode(error);
      }
      if (signal.aborted) return;
      // The end of the replay waits for it, and throws.
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
   * A kill cuts off the last file; of any other one the rows behind its end are in the next, as where the disk
   * refused half a frame. If they are not, they are missing.
   */
  async #judgeEnd(file: ReplayedFile): Promise<void> {
    if (file.tornAt === undefined || file.damage !== undefined) return;
    const next = this.#paths[this.#paths.indexOf(file.path) + 1];
    if (next === undefined) return;
    const { settledUntil, firstRow } = await readStart(next);
    if (firstRow > Math.max(file.end, settledUntil)) {
      file.damage = `it ends at byte ${file.tornAt}, and rows are missing before the next file`;
    }
  }

  /** A standby that is promoted later may not have its rows. */
  async #isToBeKept({ path, staysInPlace, damage }: ReplayedFile): Promise<boolean> {
    const { keepMs, clock } = this.#parts;
    if (keepMs === 0 || staysInPlace || damage !== undefined) return false;
    const { mtimeMs } = await stat(path);
    return clock.now() - mtimeMs < keepMs;
  }

  /** A stop ends the wait. */
  async #settled(file: ReplayedFile): Promise<void> {
    if (!this.#parts.signal.aborted) await file.settled();
  }
}

/** @returns the code of an error that stands for one file, and comes again @throws every other error */
function unreadableCode(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (!UNREADABLE.has(code)) throw error;
  return code;
}

/** Removes a folder with nothing left. @returns why it stays all the same @throws ENOENT: another process has it */
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

/** Removes a folder with nothing left that matters; another one stays. @internal */
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
