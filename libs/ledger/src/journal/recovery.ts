import type { Batch } from '../channel/batch.js';
import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { JournalFiles } from '../ports/journal-files.interface.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { SegmentTarget } from '../segments/segment-description.js';
import type { ServerHistory } from '../segments/settled-frame.js';
import type { Counters } from '../stats/counters.js';
import { AdoptedFolders } from './adopted-folders.js';
import { diskFiles } from './disk-files.js';
import type { EarlierFiles } from './earlier-files.js';
import type { GivenFields } from './fit-row.js';
import { FolderRounds } from './folder-rounds.js';
import { FolderWatch, isOwnerGone } from './folder-watch.js';
import { KeptFolders } from './kept-folders.js';
import type { RecoveredBlock } from './recovered-block.js';
import { RecoveredRows } from './recovered-rows.js';
import { RecoveryLog } from './recovery-log.js';
import { FolderReplay } from './replay-folder.js';
import { isSameTarget, maybeSameTarget } from './same-target.js';
import { StuckFolders } from './stuck-folders.js';
import { targetOfFolder, type FoundFolder } from './scan-folders.js';

/** Milliseconds between two looks at the folders, and between two signs of life. */
const LOOK_MS = 1000;
/** Parts of a recovery. @internal */
export interface RecoveryParts {
  /** The ledger's folder: `<journalDir>/<ledger>`. */
  readonly dir: string;
  readonly table: LedgerTable;
  /** Id of this run, eight hex digits. */
  readonly run: string;
  /** The ledger's target; called after the first contact with the server. */
  readonly target: () => SegmentTarget;
  /**
   * Values for columns that rows of an older definition lack; called after the first contact with
   * the server.
   */
  readonly given: () => GivenFields;
  /** Maximum rows of a batch. */
  readonly batchRows: number;
  /** Milliseconds that files are kept after their rows are settled. */
  readonly keepMs: number;
  /** Maximum bytes of kept files. */
  readonly maxBytes: number;
  /** The server that takes the rows, if known. */
  readonly server: () => ServerHistory;
  /** Removes files; default: the file system of this machine. */
  readonly files?: Pick<JournalFiles, 'unlink' | 'rename'>;
  /** Counts the files with unwritten rows. */
  readonly earlier: EarlierFiles;
  readonly counters: Pick<Counters, 'recovered'>;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
}

/**
 * Reads rows from the journals of ended runs with the same target, for the workers to write. Files
 * keep their rows until these are settled. A recovery may be stopped or killed at any time, and two
 * may work on one folder. The next one replays the remaining rows, and rows that are already in the
 * table are duplicates.
 *
 * @internal
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #log: RecoveryLog;
  readonly #rounds: FolderRounds;
  readonly #watch = new FolderWatch();
  readonly #kept: KeptFolders;
  readonly #stuck: StuckFolders;
  readonly #files: Pick<JournalFiles, 'unlink' | 'rename'>;
  readonly #stop = new AbortController();
  readonly #rows: RecoveredRows;
  readonly #adopted: AdoptedFolders;
  /** Folders without further work for this run. */
  readonly #done = new Set<string>();
  /** Folders of ended runs, to be adopted after the first contact with the server. */
  readonly #waiting = new Set<string>();
  #isReached = false;
  #timer: Timer | undefined;
  #heartbeat: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#log = new RecoveryLog(parts.logger);
    const { clock, server, files = diskFiles } = parts;
    const log = this.#log;
    this.#adopted = new AdoptedFolders(parts);
    this.#files = files;
    this.#kept = new KeptFolders({
      ...parts,
      files,
      onStuck: (path, code) => log.stuck(path, code),
    });
    this.#stuck = new StuckFolders({ clock, log, server });
    this.#rounds = new FolderRounds(parts.dir);
    this.#rows = new RecoveredRows(parts.counters, this.#stop.signal);
  }

  /** Rows with a worker. */
  get inFlight(): number {
    return this.#rows.inFlight;
  }

  /** Number of files so far with an incomplete last frame, as left by a kill. */
  get torn(): number {
    return this.#log.torn;
  }

  /** Number of files that the file system does not remove, although all their rows are settled. */
  get stuck(): number {
    return this.#stuck.count;
  }

  /** Number of damaged or unreadable files so far: rows may be missing. */
  get damaged(): number {
    return this.#log.damaged;
  }

  /**
   * Counts files of earlier runs from now on, but adopts none before `start`. Resolves after the
   * first count; never rejects.
   */
  async watch(): Promise<void> {
    if (this.#stop.signal.aborted || this.#looking !== undefined) return;
    const looking = this.#look();
    this.#beat();
    await looking;
  }

  /** Adopts folders from now on: the server was reached, so the target is known. */
  start(): void {
    if (this.#stop.signal.aborted || this.#isReached) return;
    this.#isReached = true;
    if (this.#looking === undefined) return void this.watch();
    void this.#looking.then(() => {
      this.#timer?.cancel();
      if (!this.#stop.signal.aborted) void this.#look();
    });
  }

  whenReady(callback: () => void): void {
    this.#rows.whenReady(callback);
  }

  take(): { batch: Batch<RecoveredBlock>; mayExist: boolean } | undefined {
    return this.#rows.take();
  }

  owns(batch: Batch): batch is Batch<RecoveredBlock> {
    return this.#rows.owns(batch);
  }

  settle(batch: Batch): void {
    this.#rows.settle(batch);
  }

  leave(batch: Batch): string {
    return this.#rows.leave(batch);
  }

  fileOf(batch: Batch): string {
    return this.#rows.fileOf(batch);
  }

  /** Gives no more rows. Unsettled rows stay in their files. */
  stop(): void {
    this.#stop.abort();
    this.#timer?.cancel();
    this.#rows.end();
  }

  /** Ends for good: any process may take the remaining folders at once. Never rejects. */
  async close(): Promise<void> {
    this.stop();
    this.#heartbeat?.cancel();
    await this.#looking;
    this.#adopted.release();
  }

  #look(): Promise<void> {
    const looking = this.#lookOnce().finally(() => {
      if (this.#stop.signal.aborted) return;
      this.#timer = this.#parts.clock.after(LOOK_MS, () => void this.#look());
    });
    this.#looking = looking;
    return looking;
  }

  async #lookOnce(): Promise<void> {
    try {
      const { folders, paths } = await this.#rounds.look(
        (path, { run, adopter }) => {
          const isOwn = run === this.#parts.run && adopter === undefined;
          if (isOwn || this.#done.has(path)) return false;
          return adopter === this.#parts.run ? 'always' : true;
        },
        (path, error) => this.#log.failed(path, error),
      );
      this.#watch.keepOnly(paths);
      for (const path of this.#waiting) if (!paths.has(path)) this.#waiting.delete(path);
      for (const folder of folders) {
        if (this.#stop.signal.aborted) return;
        if (await this.#isTakable(folder)) await this.#take(folder);
        else this.#waiting.delete(folder.path);
      }
      await this.#count();
      const over = [...(await this.#kept.retire(folders)), ...(await this.#stuck.retry())];
      for (const { path, isLeft } of over) this.#leave(path, isLeft);
    } catch (error) {
      this.#log.failed(this.#parts.dir, error);
    }
  }

  async #isTakable(folder: FoundFolder): Promise<boolean> {
    const { run, clock } = this.#parts;
    // An adopted folder that could not be read to its end is tried again.
    if (this.#stuck.has(folder.path)) return this.#stuck.isLost(folder.path);
    if (folder.adopter === run)
      return !this.#kept.has(folder.path) || this.#kept.isLost(folder.path);
    return (await this.#watch.judge(folder, clock.monotonic())) === 'gone';
  }

  /**
   * Counts unwritten files. Settled rows are excluded, even if they are kept or can't be removed.
   */
  async #count(): Promise<void> {
    const isUnsettled = (path: string): boolean =>
      !this.#done.has(path) && !this.#kept.has(path) && !this.#stuck.has(path);
    await this.#parts.earlier.count([...this.#waiting, ...[...this.#adopted].filter(isUnsettled)]);
  }

  async #take(folder: FoundFolder): Promise<void> {
    if (!this.#isReached && this.#waiting.has(folder.path)) return;
    try {
      const target = await targetOfFolder(folder);
      const own = this.#parts.target();
      if (!this.#isReached) {
        if (target === undefined || maybeSameTarget(target, own)) this.#waiting.add(folder.path);
        return;
      }
      this.#waiting.delete(folder.path);
      if (target !== undefined && !isSameTarget(target, own)) {
        this.#done.add(folder.path);
        return this.#log.foreign(folder.path);
      }
      const path = await this.#adopted.adopt(folder, own);
      await this.#replay(folder, path);
    } catch (error) {
      // Another process was quicker.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#log.failed(folder.path, error);
    }
  }

  async #replay(folder: FoundFolder, path: string): Promise<void> {
    const { table, clock, batchRows } = this.#parts;
    const server = this.#parts.server();
    const { signal } = this.#stop;
    const startedAt = clock.monotonic();
    const isLost = this.#kept.isLost(path) || this.#stuck.isLost(path);
    const isHandedOver = folder.isReplayedWhole && folder.adopter === this.#parts.run;
    this.#log.adopted(folder, isLost);
    const replay = new FolderReplay({
      path,
      table,
      given: this.#parts.given(),
      clock,
      batchRows,
      files: this.#files,
      // Among this run's own folders, one whose rows are all replayed has no writer.
      isOwnerGone: isLost || isHandedOver || folder.isReleased || (await isOwnerGone(folder)),
      replaysAll: folder.isReplayedWhole || isLost,
      server,
      keepMs: this.#parts.keepMs,
      give: (block) => this.#rows.give(block),
      signal,
    });
    const report = await replay.run();
    if (signal.aborted) return;
    this.#log.replayed(folder, report, clock.monotonic() - startedAt);
    const staying = report.files.filter(({ staysInPlace }) => staysInPlace);
    if (!report.isKept && report.stuck !== undefined) return this.#stuck.add(path, report, server);
    if (!report.isKept) return this.#leave(path, staying.length > 0);
    this.#kept.keep(
      path,
      server,
      staying.map((file) => file.path),
    );
  }

  /** @param isLeft it contains rows for another start; files set aside need no owner */
  #leave(path: string, isLeft: boolean): void {
    if (!isLeft) this.#adopted.forget(path);
    this.#done.add(path);
  }

  #beat(): void {
    this.#heartbeat = this.#parts.clock.after(LOOK_MS, () => this.#beat());
    // A replay may take long, and frees room meanwhile.
    this.#count().catch(() => undefined);
    this.#adopted.showLife();
  }
}
