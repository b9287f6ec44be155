import type { JournalFiles } from '../ports/journal-files.interface.js';
import { damagedPath } from './folder-names.js';

/**
 * A segment that is being replayed. It goes once it was read to its end and all its rows are settled; a
 * damaged one is set aside then, and one that can't be read, or has rows that fit no column, stays.
 *
 * @internal
 */
export class ReplayedFile {
  /** Rows that were read and are not settled. */
  unsettled = 0;
  /** Where reading goes on. */
  readUntil: number | undefined;
  /** Rows that the definition has no column for. */
  kept = 0;
  /** Rows that were settled, and that nothing but this file keeps. */
  left = 0;
  /** Why a part of it can't be read. */
  damage: string | undefined;
  /** Code of the error with which the file system refused to read it. */
  unreadable: string | undefined;
  /** Its last frame is cut off there. */
  tornAt: number | undefined;
  /** Code of the error with which the file system refused to remove it, though all its rows are settled. */
  stuck: string | undefined;
  readonly #files: Pick<JournalFiles, 'unlink' | 'rename'>;
  /** It was removed or set aside. */
  #isGone = false;
  /** Position behind the last row that was read, or that is settled by its first frame. */
  end = 0;
  readonly #waiters: (() => void)[] = [];

  constructor(
    readonly path: string,
    files: Pick<JournalFiles, 'unlink' | 'rename'>,
  ) {
    this.#files = files;
  }

  /** Another start may write what is left in it: nothing removes it or sets it aside. */
  get staysInPlace(): boolean {
    return this.kept + this.left > 0 || this.unreadable !== undefined;
  }

  settle(rows: number): void {
    this.unsettled -= rows;
    if (this.unsettled > 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Resolves when no row is unsettled, or waits are ended. */
  async settled(): Promise<void> {
    if (this.unsettled === 0) return;
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Ends all waits: nothing will be settled any more. */
  endWaits(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /**
   * Frees its place, or sets it aside; it is `stuck` where the file system refuses that. May be tried again.
   * @throws ENOENT: another process has it
   */
  async finish(): Promise<void> {
    if (this.staysInPlace || this.#isGone) return;
    try {
      if (this.damage === undefined) await this.#files.unlink(this.path);
      else this.#files.rename(this.path, damagedPath(this.path));
      this.#isGone = true;
      this.stuck = undefined;
    } catch (error) {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') throw error;
      this.stuck = code;
    }
  }
}
