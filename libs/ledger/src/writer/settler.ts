import type { Batch } from '../channel/batch.js';
import type { Settlement } from '../channel/commit-line.js';
import { RowCodec } from '../codec/row-codec.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { Counters } from '../stats/counters.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { Clock } from '../clock/clock.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { DeadLetterKeeper } from './dead-letter-keeper.js';
import type { Assignment, BatchSource } from './batch-source.interface.js';
import type { HeldRow } from './held-row.js';
import type { Leftover } from './leftover.js';

/** A row that should become a dead letter. */
export interface LetterCandidate {
  readonly batch: Batch;
  /** The row's index in the batch. */
  readonly index: number;
  readonly attempts: number;
  readonly reason: 'refused' | 'conflict';
  readonly error?: SinkRowError;
}

/** A row with its final fate. @internal */
export interface SettledRow {
  readonly row: Pick<HeldRow, 'batch' | 'assignment' | 'attempts'>;
  readonly settlement: Settlement;
  /** The reason of the refusal. */
  readonly error?: SinkRowError;
  /** It is a dead letter that was not kept. */
  readonly isLetterLost?: boolean;
}

/** Dependencies of the settler. */
export interface SettlerParts {
  readonly source: BatchSource;
  /** The count for rows that the sink accepted. */
  readonly taken: 'written' | 'published';
  readonly codec: RowCodec;
  readonly counters: Counters;
  readonly losses: LossReporter;
  readonly keeper: DeadLetterKeeper;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Whether this run made the uuid of a row and has given it to no caller. */
  readonly isOwnUnanswered: (row: Buffer) => boolean;
  /**
   * Keeps rows in the journal for the next start, or in the stream, although they are settled here.
   * Never throws.
   * @returns their location; undefined if they have no other copy
   */
  readonly leaveBehind: (batch: Batch) => string | undefined;
}

const NOT_STORED =
  'WARNING: the server took rows that the table does not report as stored: a trigger, a rule or a ' +
  'policy of the table removed them or put them elsewhere; they count as written and as notStored';

const RENEWED =
  'WARNING: another program wrote rows under uuids that this run made for its own entries: ' +
  'these get other uuids and are written; stats().renewedUuids counts them';

/**
 * Gives entries their final fate. Counters, callers and memory change in one turn, so that the
 * conservation law always holds.
 *
 * @internal
 */
export class Settler {
  readonly #parts: SettlerParts;
  /** New uuids of awaited rows that differ from those first assigned, by position. */
  readonly #renewed = new Map<number, string>();

  constructor(parts: SettlerParts) {
    this.#parts = parts;
  }

  /**
   * Gives rows a new uuid if the row in the table must be another writer's: this run made the uuid,
   * no caller has it, and no earlier attempt may have written the row. The caller writes them
   * again.
   *
   * @param indexes of conflicting rows
   * @returns those that now have a new uuid
   */
  renewUuids(assignment: Assignment, batch: Batch, indexes: readonly number[]): number[] {
    const { counters, logger, isOwnUnanswered } = this.#parts;
    const renewed = indexes.filter((index) => isOwnUnanswered(batch.row(index)));
    if (renewed.length > 0 && counters.renewedUuids === 0) logger.warn(RENEWED);
    counters.renewedUuids += renewed.length;
    for (const index of renewed) {
      const row = batch.row(index);
      RowCodec.renewUuid(row);
      const position = batch.positionOf(index);
      const isAwaited = assignment.awaited.some((awaited) => awaited.position === position);
      if (isAwaited) this.#renewed.set(position, RowCodec.uuidOf(row));
    }
    return renewed;
  }

  /**
   * Settles committed rows, and those of them that existed before.
   * @param lost indexes of conflicts whose dead letters were not kept
   */
  settleWritten(
    assignment: Assignment,
    batch: Batch,
    result: WriteResult,
    lost: readonly number[] = [],
  ): void {
    const { counters, losses, taken } = this.#parts;
    const left = new Map(
      lost.flatMap((index) => {
        const file = this.#leaveBehind(batch.part(index, index + 1)!);
        return file === undefined ? [] : [[index, file] as const];
      }),
    );
    const conflicts = result.conflicts.length - left.size;
    counters[taken] += result.written;
    counters.duplicate += result.duplicates.length;
    counters.deadLettered += conflicts;
    counters.conflicts += conflicts;
    counters.spilled += left.size;
    this.#noteNotStored(result.notStored ?? 0);
    this.#parts.source.settle(batch);
    this.#tell(assignment, batch, settlementsOf(batch, result, left), { outcome: 'written' });
    if (conflicts > 0) losses.note('deadLettered', conflicts, { reason: 'conflict' });
  }

  /**
   * A row must not be settled without a copy: a row left in a file or stream is tried again from
   * there.
   */
  #leaveBehind(row: Batch): string | undefined {
    const { leaveBehind, logger, losses } = this.#parts;
    const file = leaveBehind(row);
    if (file === undefined) return undefined;
    losses.note('spilled', row.count, { reason: file });
    logger.error(
      `the dead letter of an entry could not be stored: the entry stays in ${file}, and is tried again from there`,
    );
    return file;
  }

  /**
   * Settles rows that were tried separately; dead letters were kept before.
   * @param notStored number of written rows that the table does not report as stored
   */
  settleRows(settled: readonly SettledRow[], notStored: number): void {
    const { losses, source } = this.#parts;
    this.#noteNotStored(notStored);
    const fates = new Map<Assignment, Map<number, Settlement>>();
    const final = settled.map((each) => this.#finalOf(each));
    for (const { row, settlement } of final) {
      this.#count(settlement);
      source.settle(row.batch);
      const ofAssignment = fates.get(row.assignment) ?? new Map<number, Settlement>();
      fates.set(row.assignment, ofAssignment.set(row.batch.position, settlement));
    }
    for (const [{ awaited }, settlements] of fates) {
      for (const { position, settle } of awaited) {
        const settlement = settlements.get(position);
        if (settlement !== undefined) settle(this.#named(position, settlement));
      }
    }
    for (const { row, settlement } of final) {
      for (const { settle } of source.takeWatchers?.(row.batch) ?? []) settle(settlement);
    }
    for (const { settlement } of final) {
      if (settlement.outcome === 'deadLettered') losses.note('deadLettered', 1, lossOf(settlement));
    }
  }

  #finalOf(settled: SettledRow): SettledRow {
    if (settled.isLetterLost !== true) return settled;
    const file = this.#leaveBehind(settled.row.batch);
    return file === undefined ? settled : { ...settled, settlement: { outcome: 'spilled', file } };
  }

  #count(settlement: Settlement): void {
    const { counters, taken } = this.#parts;
    if (settlement.outcome === 'written') counters[taken]++;
    else if (settlement.outcome === 'duplicate') counters.duplicate++;
    else if (settlement.outcome === 'spilled') counters.spilled++;
    else if (settlement.outcome === 'deadLettered') {
      counters.deadLettered++;
      if (settlement.reason === 'conflict') counters.conflicts++;
    }
  }

  /**
   * The server accepted these rows without an error, so they are settled, although it may not have
   * stored them.
   */
  #noteNotStored(count: number): void {
    if (count === 0) return;
    const { counters, logger } = this.#parts;
    if (counters.notStored === 0) logger.warn(NOT_STORED);
    counters.notStored += count;
  }

  /**
   * Settles rows that a file keeps already: those of earlier runs, and those on disk only.
   *
   * @returns the other rows
   */
  settleKept(leftovers: readonly Leftover[]): Leftover[] {
    return leftovers.filter(({ assignment, batch, keptIn }) => {
      if (keptIn === undefined) return true;
      // Rows of earlier runs were reported when they were left in the file.
      if (assignment.keptIn === undefined) this.settleSpilled(assignment, batch, keptIn);
      else this.settleUnreadable(assignment);
      return false;
    });
  }

  /**
   * Settles rows that are in a file only and can't be read back in this process. If the file was
   * removed they are lost, and this is reported to callers and the application.
   */
  settleUnreadable(assignment: Assignment): void {
    const { batch, keptIn = '', isGone = false } = assignment;
    this.#settleLeft(
      assignment,
      batch,
      isGone ? { outcome: 'lost' } : { outcome: 'spilled', file: keptIn },
    );
    this.#parts.losses.note(isGone ? 'lost' : 'spilled', batch.count, { reason: keptIn });
  }

  /** Settles rows that were left in a file. */
  settleSpilled(assignment: Assignment, batch: Batch, file: string): void {
    this.#settleLeft(assignment, batch, { outcome: 'spilled', file });
  }

  #settleLeft(assignment: Assignment, batch: Batch, settlement: Settlement): void {
    this.#parts.counters.spilled += batch.count;
    this.#parts.source.settle(batch);
    this.#tell(assignment, batch, new Map(), settlement);
  }

  /**
   * Ends the wait for rows that nothing kept at the end of the process. They stay in flight in the
   * stats.
   */
  settleLost(assignment: Assignment, batch: Batch): void {
    this.#tell(assignment, batch, new Map(), { outcome: 'lost' });
  }

  #tell(
    { awaited }: Assignment,
    batch: Batch,
    settlements: ReadonlyMap<number, Settlement>,
    otherwise: Settlement,
  ): void {
    for (const { position, settle } of awaited) {
      if (!batch.holds(position)) continue;
      settle(this.#named(position, settlements.get(position) ?? otherwise));
    }
    for (const { position, settle } of this.#parts.source.takeWatchers?.(batch) ?? []) {
      settle(settlements.get(position) ?? otherwise);
    }
  }

  #named(position: number, settlement: Settlement): Settlement {
    const uuid = this.#renewed.get(position);
    if (uuid === undefined) return settlement;
    this.#renewed.delete(position);
    return { ...settlement, uuid };
  }

  /**
   * Keeps rows as dead letters before they are settled. Never rejects.
   * @returns those whose letters were not kept
   */
  async keep(candidates: readonly LetterCandidate[]): Promise<LetterCandidate[]> {
    const letters = candidates.map((each) => this.#letter(each));
    const lost = await this.#parts.keeper.keep(letters);
    return candidates.filter((_, index) => lost.has(letters[index]!));
  }

  /** Keeps the dead letters among these rows. Never rejects. @returns all rows, to be settled */
  async keepRows(settled: readonly SettledRow[]): Promise<readonly SettledRow[]> {
    const candidates = settled.flatMap(({ row, settlement, error }): LetterCandidate[] => {
      if (settlement.outcome !== 'deadLettered') return [];
      const { batch, attempts } = row;
      return [{ batch, index: 0, attempts, reason: settlement.reason, ...(error && { error }) }];
    });
    if (candidates.length === 0) return settled;
    const lost = new Set((await this.keep(candidates)).map(({ batch }) => batch));
    return settled.map((each) => {
      return lost.has(each.row.batch) ? { ...each, isLetterLost: true } : each;
    });
  }

  #letter({ batch, index, attempts, reason, error }: LetterCandidate): DeadLetter {
    const { codec, clock } = this.#parts;
    const entry = codec.decode(batch.row(index));
    const now = clock.now();
    return {
      uuid: entry['uuid'] as string,
      reason,
      sqlState: error?.sqlState,
      detail: error?.message ?? 'the uuid is taken by an entry with other content',
      attempts,
      queuedAt: Math.round(now - (clock.monotonic() - batch.appendedAt(index))),
      deadLetteredAt: now,
      entry,
    };
  }
}

function lossOf({ reason, sqlState }: Extract<Settlement, { outcome: 'deadLettered' }>): {
  reason: string;
  sqlState?: string;
} {
  return { reason, ...(sqlState === undefined ? {} : { sqlState }) };
}

function settlementsOf(
  batch: Batch,
  result: WriteResult,
  left: ReadonlyMap<number, string>,
): Map<number, Settlement> {
  const settlements = new Map<number, Settlement>();
  for (const index of result.duplicates) {
    settlements.set(batch.positionOf(index), { outcome: 'duplicate' });
  }
  for (const index of result.conflicts) {
    const file = left.get(index);
    settlements.set(
      batch.positionOf(index),
      file === undefined
        ? { outcome: 'deadLettered', reason: 'conflict', sqlState: undefined }
        : { outcome: 'spilled', file },
    );
  }
  return settlements;
}
