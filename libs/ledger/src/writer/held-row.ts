import type { Batch } from '../channel/batch.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { Assignment } from './batch-source.interface.js';
import type { Suspect } from './fault-judge.js';

/** A row excluded from batches, because it was refused or is tried separately. @internal */
export interface HeldRow extends Suspect {
  /** The row alone. */
  readonly batch: Batch;
  readonly assignment: Assignment;
  /** Attempts that contained it. */
  attempts: number;
  /** An attempt of unknown outcome contained it. */
  mayExist: boolean;
  /** The last refusal; undefined before the first. */
  error: SinkRowError | undefined;
  /** Monotonic milliseconds of the first refusal; undefined before it. */
  heldSince: number | undefined;
}

/** Single rows of a batch, none of them refused yet. */
export function rowsOf(
  batch: Batch,
  more: Pick<HeldRow, 'assignment' | 'attempts' | 'mayExist'>,
): HeldRow[] {
  const { assignment, attempts, mayExist } = more;
  return Array.from({ length: batch.count }, (_, index) => ({
    batch: batch.part(index, index + 1)!,
    assignment,
    attempts,
    mayExist,
    error: undefined,
    refusedAt: 0,
    heldSince: undefined,
  }));
}
