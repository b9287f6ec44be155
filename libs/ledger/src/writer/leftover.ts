import type { Batch } from '../channel/batch.js';
import type { Rest } from './delivery.js';
import type { Assignment } from './batch-source.interface.js';

/** Rows left at the drain deadline, with their assignment. */
export interface Leftover extends Rest {
  readonly assignment: Assignment;
  readonly attempts: number;
  /** The file that already has these rows and keeps them; undefined if they are only in memory. */
  readonly keptIn?: string;
}

/** Total rows. */
export function countOf(leftovers: readonly Leftover[]): number {
  return leftovers.reduce((sum, { batch }) => sum + batch.count, 0);
}

/** The first `rows` rows, and the rows after them; a batch may be in both. */
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
