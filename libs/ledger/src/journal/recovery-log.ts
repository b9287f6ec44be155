import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import { damagedPath } from './folder-names.js';
import type { FolderReport } from './replay-folder.js';
import type { FoundFolder } from './scan-folders.js';

/** What a recovery says in the log: each thing once. @internal */
export class RecoveryLog {
  /** Files whose last frame is cut off, as a kill leaves one. */
  torn = 0;
  /** Files with damage, or that the file system does not give: rows may be missing. */
  damaged = 0;
  readonly #logger: LedgerLogger;
  readonly #said = new Set<string>();

  constructor(logger: LedgerLogger) {
    this.#logger = logger;
  }

  /** @param isLost its rows may be missing on a server that was promoted */
  adopted({ run, files, path, isReplayedWhole }: FoundFolder, isLost: boolean): void {
    if (files.length === 0) return;
    const megabytes = files.reduce((sum, { bytes }) => sum + bytes, 0) / 1_048_576;
    const what =
      isLost || isReplayedWhole
        ? `the journal of run ${run} is compared with the server that was promoted`
        : `the journal of run ${run}, which has ended, is replayed`;
    this.#logger.log(`${what}: ${files.length} files, ${megabytes.toFixed(1)} MiB, from ${path}`);
  }

  replayed({ run }: FoundFolder, { rows, files, isWhole }: FolderReport, ms: number): void {
    for (const { path, damage, tornAt, kept, unreadable, staysInPlace } of files) {
      if (damage !== undefined || unreadable !== undefined) this.damaged++;
      else if (tornAt !== undefined) this.torn++;
      if (unreadable !== undefined) {
        this.#logger.error(
          `a file of the journal can't be read (${unreadable}): it stays as ${path}, and the next start tries again`,
        );
      }
      if (damage !== undefined) {
        const aside = staysInPlace ? path : damagedPath(path);
        this.#logger.error(
          `a file of the journal can't be read to its end (${damage}): its whole frames were replayed, and it is kept as ${aside}`,
        );
      }
      if (kept > 0) {
        this.#logger.warn(
          `WARNING: ${kept} entries of ${path} have values in columns that the definition does not have: ` +
            'they stay in the file, and are replayed by a start whose definition has them',
        );
      }
    }
    if (files.length === 0) return;
    const what = isWhole ? 'compared with the server that was promoted' : 'replayed';
    this.#logger.log(`the journal of run ${run}: ${rows} entries ${what} in ${Math.round(ms)}ms`);
  }

  /** Folders whose rows belong into another table. */
  foreign(path: string): void {
    this.#once(
      path,
      `WARNING: the journal in ${path} is of another database or table, and is left alone: ` +
        'see `npx nestjs-ledger journal list`',
    );
  }

  /** All its rows are settled. @param code of the file system */
  stuck(path: string, code: string): void {
    this.#once(
      `${path} stuck`,
      `WARNING: the journal in ${path} was replayed, but can't be removed (${code}): the process tries again after ` +
        'growing pauses. The next start replays it once more, and finds its entries in the table',
    );
  }

  freed(path: string): void {
    this.#logger.log(`the journal in ${path}, which could not be removed before, is removed`);
  }

  failed(path: string, error: unknown): void {
    const why = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : '';
    this.#once(
      `${path} ${why}`,
      `WARNING: the journal in ${path} can't be replayed (${why}): it is tried again every second`,
    );
  }

  #once(key: string, line: string): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.#logger.warn(line);
  }
}
