import type { Batch } from '../channel/batch.js';
import type { Rest } from './delivery.js';
import type { Assignment } from './batch-source.interface.js';

/** Rows left at the drain deadline, with the assignment that held them. */
export interface Leftover extends Rest {
  readonly assignment: Assignment;
  readonly attempts: number;
  /** The file that has these rows already, and keeps them; undefined: they are only here. */
  readonly keptIn?: string;
}

/** Rows of all together. */
export function countOf(leftovers: readonly Leftover[]): number {
  return leftovers.reduce((sum, { batch }) => sum + batch.count, 0);
}

/** The first `rows` rows, and those behind them; a batch may be in both. */
export function splitAfter(rows: number, leftovers: readonly Leftover[]): [Leftover[], Leftover[]] {
  const before: Leftover[] = [];
  const behind: Leftover[] = [];
  let left = rows;
  for (const leftover of leftovers) {
    const { batch } = leftover;
    const add = (to: Leftover[], part: Batch | undefined): void => {
      if (part !== undefined) to.push({ ...leftover, batch: part });
    };
    add(before, batch.part(0, left));
    add(behind, batch.part(left, batch.count));
    left = Math.max(0, left - batch.count);
  }
  return [before, behind];
}
