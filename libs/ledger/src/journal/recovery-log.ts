import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { damagedPath } from './folder-names.js';
import type { FolderReport } from './replay-folder.js';
import type { FoundFolder } from './scan-folders.js';

/** Log lines of a recovery; each is logged once. @internal */
export class RecoveryLog {
  /** Files with an incomplete last frame, as left by a kill. */
  torn = 0;
  /** Damaged files, and files that the file system can't read: rows may be missing. */
  damaged = 0;
  readonly #logger: LedgerLogger;
  readonly #said = new Set<string>();

  constructor(logger: LedgerLogger) {
    this.#logger = logger;
  }

  /** @param isLost its rows may be missing on a promoted server */
  adopted({ run, files, path, isReplayedWhole }: FoundFolder, isLost: boolean): void {
    if (files.length === 0) return;
    const megabytes = files.reduce((sum, { bytes }) => sum + bytes, 0) / 1_048_576;
    const what =
      isLost || isReplayedWhole
        ? `comparing the journal of run ${run} with the promoted server`
        : `replaying the journal of run ${run}, which has ended`;
    this.#logger.log(`${what}: ${files.length} files, ${megabytes.toFixed(1)} MiB, from ${path}`);
  }

  replayed({ run }: FoundFolder, { rows, files, isWhole }: FolderReport, ms: number): void {
    for (const { path, damage, tornAt, kept, unreadable, staysInPlace } of files) {
      if (damage !== undefined || unreadable !== undefined) this.damaged++;
      else if (tornAt !== undefined) this.torn++;
      if (unreadable !== undefined) {
        this.#logger.error(
          `the journal file ${path} can't be read (${unreadable}): it stays there, and the next start tries again`,
        );
      }
      if (damage !== undefined) {
        const aside = staysInPlace ? path : damagedPath(path);
        this.#logger.error(
          `part of a journal file can't be read (${damage}): the other entries were replayed, and the file is kept as ${aside}`,
        );
      }
      if (kept > 0) {
        this.#logger.warn(
          `WARNING: ${kept} entries in ${path} have values in columns that the definition lacks: ` +
            'they stay in the file until the application starts with a definition that has these columns',
        );
      }
    }
    if (files.length === 0) return;
    const duration = `${Math.round(ms)}ms`;
    this.#logger.log(
      isWhole
        ? `compared ${rows} entries of the journal of run ${run} with the promoted server in ${duration}`
        : `replayed ${rows} entries of the journal of run ${run} in ${duration}`,
    );
  }

  /** Logs a folder whose rows belong to another table. */
  foreign(path: string): void {
    this.#once(
      path,
      `WARNING: the journal in ${path} belongs to another database or table and is not replayed: ` +
        'see `npx nestjs-ledger journal list`',
    );
  }

  /**
   * Logs a folder that can't be removed although all its rows are settled.
   * @param code of the file system
   */
  stuck(path: string, code: string): void {
    this.#once(
      `${path} stuck`,
      `WARNING: the journal in ${path} was replayed, but can't be removed (${code}): the process tries again ` +
        'with growing pauses. Until it succeeds, each start replays this journal again, which writes no entry twice',
    );
  }

  freed(path: string): void {
    this.#logger.log(`the journal in ${path} is removed now, after earlier attempts failed`);
  }

  failed(path: string, error: unknown): void {
    const why = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : '';
    this.#once(
      `${path} ${why}`,
      `WARNING: the journal in ${path} can't be replayed (${why}): the ledger tries again every second`,
    );
  }

  #once(key: string, line: string): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.#logger.warn(line);
  }
}
