import type { JournalFiles } from '../ports/journal-files.interface.js';
import { damagedPath } from './folder-names.js';

/**
 * A segment during its replay. It is removed once it was read to its end and all its rows are
 * settled. A damaged segment is then set aside. A segment that can't be read, or has rows that fit
 * no column, stays.
 *
 * @internal
 */
export class ReplayedFile {
  /** Rows that were read and are unsettled. */
  unsettled = 0;
  /** Offset where reading continues. */
  readUntil: number | undefined;
  /** Rows with a value for which the definition has no column. */
  kept = 0;
  /** Settled rows that exist only in this file. */
  left = 0;
  /** Why a part of it can't be read. */
  damage: string | undefined;
  /** Error code with which the file system refused to read it. */
  unreadable: string | undefined;
  /** Offset of its incomplete last frame. */
  tornAt: number | undefined;
  /**
   * Error code with which the file system refused to remove it, although all its rows are settled.
   */
  stuck: string | undefined;
  readonly #files: Pick<JournalFiles, 'unlink' | 'rename'>;
  /** Whether it was removed or set aside. */
  #isGone = false;
  /** Position after the last row that was read, or that its first frame settles. */
  end = 0;
  readonly #waiters: (() => void)[] = [];

  constructor(
    readonly path: string,
    files: Pick<JournalFiles, 'unlink' | 'rename'>,
  ) {
    this.#files = files;
  }

  /**
   * Whether it must not be removed or set aside, because another start may write its remaining
   * rows.
   */
  get staysInPlace(): boolean {
    return this.kept + this.left > 0 || this.unreadable !== undefined;
  }

  settle(rows: number): void {
    this.unsettled -= rows;
    if (this.unsettled > 0) return;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** Resolves when all rows are settled, or the waits are ended. */
  async settled(): Promise<void> {
    if (this.unsettled === 0) return;
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Ends all waits: no more rows will be settled. */
  endWaits(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /**
   * Unlinks the file, or sets it aside. If the file system refuses that, the file is `stuck`. May
   * be tried again.
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
