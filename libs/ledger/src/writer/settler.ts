import type { Batch } from '../channel/batch.js';
import type { Settlement } from '../channel/commit-line.js';
import type { RowCodec } from '../codec/row-codec.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { WriteResult } from '../ports/ledger-sink.interface.js';
import type { Counters } from '../stats/counters.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { Clock } from '../clock/clock.js';
import type { DeadLetterKeeper } from './dead-letter-keeper.js';
import type { Assignment, BatchSource } from './batch-source.interface.js';

/** A row that is to become a dead letter. */
export interface LetterCandidate {
  readonly batch: Batch;
  /** The row's index in the batch. */
  readonly index: number;
  readonly attempts: number;
  readonly reason: 'refused' | 'conflict';
  readonly error?: SinkRowError;
}

/** What the settler is made of. */
export interface SettlerParts {
  readonly source: BatchSource;
  readonly codec: RowCodec;
  readonly counters: Counters;
  readonly losses: LossReporter;
  readonly keeper: DeadLetterKeeper;
  readonly clock: Clock;
}

/**
 * Gives entries their final fate: counters, callers and memory change in one turn, so that the
 * conservation law holds at any moment.
 *
 * @internal
 */
export class Settler {
  readonly #parts: SettlerParts;

  constructor(parts: SettlerParts) {
    this.#parts = parts;
  }

  /** Rows that were committed, and those of them that were there before. */
  settleWritten(assignment: Assignment, batch: Batch, result: WriteResult): void {
    const { counters, losses } = this.#parts;
    counters.written += result.written;
    counters.duplicate += result.duplicates.length;
    counters.deadLettered += result.conflicts.length;
    counters.conflicts += result.conflicts.length;
    this.#parts.source.settle(batch);
    tell(assignment, batch, settlementsOf(batch, result), { outcome: 'written' });
    if (result.conflicts.length > 0) {
      losses.note('deadLettered', result.conflicts.length, { reason: 'conflict' });
    }
  }

  /** A row that the server refused; it was kept as a dead letter. */
  settleRefused(assignment: Assignment, batch: Batch, sqlState: string | undefined): void {
    const { counters, losses } = this.#parts;
    counters.deadLettered += batch.count;
    this.#parts.source.settle(batch);
    tell(assignment, batch, new Map(), { outcome: 'deadLettered', reason: 'refused', sqlState });
    losses.note('deadLettered', batch.count, { reason: 'refused', sqlState });
  }

  /** Rows that were left in a file. */
  settleSpilled(assignment: Assignment, batch: Batch, file: string): void {
    this.#parts.counters.spilled += batch.count;
    this.#parts.source.settle(batch);
    tell(assignment, batch, new Map(), { outcome: 'spilled', file });
  }

  /**
   * Rows that nothing took at the end of the process: those who wait for them need not any longer.
   * They stay in the stats as what they are, in flight.
   */
  settleLost(assignment: Assignment, batch: Batch): void {
    tell(assignment, batch, new Map(), { outcome: 'lost' });
  }

  /** Keeps rows as dead letters before they are settled. Never rejects. */
  async keep(candidates: readonly LetterCandidate[]): Promise<void> {
    await this.#parts.keeper.keep(candidates.map((each) => this.#letter(each)));
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

function settlementsOf(batch: Batch, result: WriteResult): Map<number, Settlement> {
  const settlements = new Map<number, Settlement>();
  for (const index of result.duplicates) {
    settlements.set(batch.positionOf(index), { outcome: 'duplicate' });
  }
  for (const index of result.conflicts) {
    const position = batch.positionOf(index);
    settlements.set(position, { outcome: 'deadLettered', reason: 'conflict', sqlState: undefined });
  }
  return settlements;
}

function tell(
  { awaited }: Assignment,
  batch: Batch,
  settlements: ReadonlyMap<number, Settlement>,
  otherwise: Settlement,
): void {
  for (const { position, settle } of awaited) {
    if (!batch.holds(position)) continue;
    settle(settlements.get(position) ?? otherwise);
  }
}
