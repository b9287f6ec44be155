import type { Batch } from '../channel/batch.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { Assignment } from './batch-source.interface.js';
import type { Suspect } from './fault-judge.js';

/** A row that no batch may take along any more: it was refused, or is tried by itself. @internal */
export interface HeldRow extends Suspect {
  /** The row alone. */
  readonly batch: Batch;
  readonly assignment: Assignment;
  /** Attempts that held it. */
  attempts: number;
  /** An attempt with unknown outcome held it. */
  mayExist: boolean;
  /** Why it was refused last; undefined before the first refusal. */
  error: SinkRowError | undefined;
  /** Monotonic milliseconds of the first refusal; undefined before it. */
  heldSince: number | undefined;
}

/** Rows of a batch, each for itself, none of them refused yet. */
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
