import type { RowCodec } from '../codec/row-codec.js';
import { PartlyWrittenError } from '../errors/partly-written.error.js';
import type { SpilledEntry, SpillStore } from '../ports/spill-store.interface.js';
import type { Counters } from '../stats/counters.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { Status } from '../stats/status.js';
import type { BatchSource } from './batch-source.interface.js';
import type { BatchWriter } from './batch-writer.js';
import { atMost, type Clock } from '../clock/clock.js';
import type { Journal } from '../journal/journal.js';
import type { DeadLetterKeeper } from './dead-letter-keeper.js';
import { countOf, splitAfter, type Leftover } from './leftover.js';
import type { Settler } from './settler.js';

/**
 * Milliseconds to spill one entry, and to create the file: the part of the time limit that must be
 * left when writing ends. Source: spills of 10,000 to 200,000 entries, 10 to 28 µs an entry on a
 * shared disk and two shared cores; making the line takes nearly all of it.
 */
const SPILL_MS_PER_ENTRY = 0.03;
const SPILL_MS_BASE = 150;

/** Milliseconds reserved to write entries that open calls record at the end. */
const WRITE_MS = 1000;

/** Dependencies of the shutdown. */
export interface ShutdownParts {
  readonly source: BatchSource;
  readonly codec: RowCodec;
  readonly writer: BatchWriter;
  readonly settler: Settler;
  /** Has every accepted row on disk already; undefined if they are in memory only. */
  readonly journal: Journal | undefined;
  readonly spills: SpillStore;
  readonly keeper: DeadLetterKeeper;
  readonly counters: Counters;
  readonly losses: LossReporter;
  readonly status: Status;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly shutdownTimeoutMs: number;
}

/** Fates of the accepted entries since the first shutdown hook. @internal */
export interface DrainReport {
  /** On a gateway: published to the stream. */
  readonly written: number;
  readonly duplicate: number;
  readonly deadLettered: number;
  readonly spilled: number;
  readonly ms: number;
}

/**
 * The two steps of a stop. `drain` writes accepted entries for at most half of the time; the intake
 * stays open for running requests. `finish` seals, writes the rest, and spills the remainder at the
 * deadline. Each may be called twice: all callers share one promise. Neither ever rejects.
 *
 * @internal
 */
export class Shutdown {
  readonly #parts: ShutdownParts;
  #drain: Promise<void> | undefined;
  #finish: Promise<DrainReport> | undefined;
  #before:
    Pick<Counters, 'written' | 'published' | 'duplicate' | 'deadLettered' | 'spilled'> | undefined;
  #spentMs = 0;
  #hasFailed = false;
  #inJournal = 0;
  /** Rows that no worker has and that are in no file yet. */
  #leaving: readonly Leftover[] = [];
  readonly #onEnded: (() => void)[] = [];

  constructor(parts: ShutdownParts) {
    this.#parts = parts;
  }

  /** Calls back once, when the ledger has ended and holds no entry; must not throw. */
  whenEnded(callback: () => void): void {
    this.#onEnded.push(callback);
  }

  /** Takes over the rows that it was about to spill, because the process exits meanwhile. */
  takeBack(): readonly Leftover[] {
    const leaving = this.#leaving;
    this.#leaving = [];
    return leaving;
  }

  /** Writes the entries accepted so far, for at most half of the time limit. */
  drain(): Promise<void> {
    this.#drain ??= this.#drainHalf();
    return this.#drain;
  }

  /**
   * Ends a ledger whose boot failed: refuses new entries and spills the accepted ones, without
   * waiting for workers that never started.
   */
  fail(): Promise<DrainReport> {
    this.#drain ??= this.#skipDrain();
    return this.finish();
  }

  async #skipDrain(): Promise<void> {
    this.#begin();
    this.#hasFailed = true;
  }

  #begin(): void {
    const { written, published, duplicate, deadLettered, spilled } = this.#parts.counters;
    this.#before = { written, published, duplicate, deadLettered, spilled };
    this.#parts.status.enter('draining');
  }

  async #drainHalf(): Promise<void> {
    const { writer, clock, shutdownTimeoutMs } = this.#parts;
    const startedAt = clock.monotonic();
    this.#begin();
    writer.drainFrom();
    await writer.flush(shutdownTimeoutMs / 2);
    this.#spentMs = clock.monotonic() - startedAt;
  }

  /**
   * Waits for work that may still record, and deducts the wait from the time limit. It reserves
   * half of the remaining time, at most a second, for writing.
   *
   * @returns whether the work ended in time; it never rejects
   */
  async waitFor(work: Promise<unknown>): Promise<boolean> {
    const { clock, shutdownTimeoutMs } = this.#parts;
    const leftMs = Math.max(0, shutdownTimeoutMs - this.#spentMs);
    const hold = clock.hold();
    const startedAt = clock.monotonic();
    let isDone = false;
    const done = (): void => void (isDone = true);
    await atMost(clock, leftMs - Math.min(leftMs / 2, WRITE_MS), work.then(done, done));
    this.#spentMs += clock.monotonic() - startedAt;
    hold.cancel();
    return isDone;
  }

  /** Refuses new entries, writes the rest, and spills the remainder at the deadline. */
  finish(): Promise<DrainReport> {
    this.#finish ??= this.#drainAndSeal();
    return this.#finish;
  }

  async #drainAndSeal(): Promise<DrainReport> {
    // While the server is unreachable nothing else may keep the process alive, and the rest must be
    // spilled.
    const hold = this.#parts.clock.hold();
    try {
      await this.drain();
      return await this.#sealAndWrite();
    } finally {
      hold.cancel();
      this.#parts.journal?.close();
      if (this.#parts.source.held === 0) for (const each of this.#onEnded.splice(0)) each();
    }
  }

  async #sealAndWrite(): Promise<DrainReport> {
    const { source, writer, settler, status, clock, shutdownTimeoutMs } = this.#parts;
    const startedAt = clock.monotonic();
    source.seal();
    status.enter('sealed');
    // No worker started, so there is nothing to wait for.
    const leftMs = this.#hasFailed ? 0 : Math.max(0, shutdownTimeoutMs - this.#spentMs);
    const spillMs = Math.min(leftMs / 2, SPILL_MS_BASE + source.held * SPILL_MS_PER_ENTRY);
    writer.limit(startedAt + leftMs - spillMs);
    await writer.flush(leftMs - spillMs);
    const all = await writer.abandon();
    // Called before any row counts as settled.
    const folder = all.length === 0 ? undefined : this.#parts.journal?.leave();
    const leftovers = settler.settleKept(all);
    this.#inJournal = countOf(all) - countOf(leftovers);
    this.#leaving = leftovers;
    const isKept = leftovers.length === 0 || (await this.#spill(leftovers, folder));
    // Otherwise a flush of the application would keep the process alive until its own time limit.
    writer.endFlushes(isKept);
    await this.#keepInvalid(startedAt + leftMs);
    this.#spentMs += clock.monotonic() - startedAt;
    return this.#report();
  }

  /** @returns false if some are lost */
  async #spill(leftovers: readonly Leftover[], folder: string | undefined): Promise<boolean> {
    const { spills, logger } = this.#parts;
    if (folder !== undefined) {
      this.#leaving = [];
      this.#inJournal += this.#settleSpilled(leftovers, folder);
      return true;
    }
    try {
      const { file } = await spills.spill(this.#entriesOf(leftovers));
      this.#leaving = [];
      const count = this.#settleSpilled(leftovers, file);
      logger.error(`${count} entries could not be written in time and were spilled to ${file}`);
      return true;
    } catch (error) {
      this.#settleLost(leftovers, error);
      return false;
    }
  }

  #settleSpilled(leftovers: readonly Leftover[], file: string): number {
    const { settler, losses } = this.#parts;
    for (const { assignment, batch } of leftovers) settler.settleSpilled(assignment, batch, file);
    const count = countOf(leftovers);
    losses.note('spilled', count, { reason: file });
    return count;
  }

  #settleLost(leftovers: readonly Leftover[], error: unknown): void {
    const { settler, losses, logger } = this.#parts;
    const partly = error instanceof PartlyWrittenError ? error : undefined;
    const [kept, lost] = splitAfter(partly?.lines ?? 0, leftovers);
    const why = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : '';
    const count = countOf(lost);
    losses.note('lost', count, { reason: why });
    for (const { assignment, batch } of lost) settler.settleLost(assignment, batch);
    // The exit of the process will try again. The callers who waited for these rows have their
    // answer.
    this.#leaving = lost.map((each) => {
      return { ...each, assignment: { ...each.assignment, awaited: [] } };
    });
    let before = '';
    if (partly !== undefined) {
      const rows = this.#settleSpilled(kept, partly.file);
      before = `; ${rows} before them were spilled to ${partly.file}`;
    }
    logger.error(
      `${count} entries could be neither written nor spilled (${why}) and are lost${before}`,
    );
  }

  *#entriesOf(leftovers: readonly Leftover[]): Generator<SpilledEntry> {
    const { codec, clock } = this.#parts;
    const offset = clock.now() - clock.monotonic();
    for (const { batch, mayExist, attempts } of leftovers) {
      for (let index = 0; index < batch.count; index++) {
        const entry = codec.decode(batch.row(index));
        const queuedAt = Math.round(offset + batch.appendedAt(index));
        yield { uuid: entry['uuid'] as string, mayExist, attempts, queuedAt, entry };
      }
    }
  }

  /** Keeps letters of invalid entries within the remaining time. */
  async #keepInvalid(deadline: number): Promise<void> {
    const { keeper, clock, losses } = this.#parts;
    await atMost(clock, Math.max(0, deadline - clock.monotonic()), keeper.settled());
    losses.flush();
  }

  #report(): DrainReport {
    const { counters, logger } = this.#parts;
    const before = this.#before!;
    const report = {
      written: counters.written + counters.published - before.written - before.published,
      duplicate: counters.duplicate - before.duplicate,
      deadLettered: counters.deadLettered - before.deadLettered,
      spilled: counters.spilled - before.spilled,
      ms: Math.round(this.#spentMs),
    };
    const { written, duplicate, deadLettered, spilled } = report;
    // The error reports a failed boot. A ledger that held nothing has nothing more to report.
    if (this.#hasFailed && written + duplicate + deadLettered + spilled === 0) return report;
    logger.log(
      `drained: ${report.written} written, ${report.duplicate} duplicate, ` +
        `${report.deadLettered} dead-lettered, ${report.spilled} spilled in ${report.ms}ms` +
        (this.#inJournal === 0 ? '' : `, ${this.#inJournal} left in the journal`),
    );
    return report;
  }
}
