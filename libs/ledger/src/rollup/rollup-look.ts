import type { PgSession } from '../postgres/pg-session.js';
import type { RollupSql } from './rollup-sql.js';

/** Before all moments. @internal */
export const NEVER = Number.NEGATIVE_INFINITY;

/** What one look at the server found; times in milliseconds since 1970. @internal */
export interface RollupLook {
  readonly closedBefore: number;
  readonly writtenUntil: number;
  /** As the rollups have them, with commas. */
  readonly dimensions: string;
  readonly moment: number;
  readonly running: ReadonlySet<string>;
  readonly hasPrepared: boolean;
  readonly hasMarks: boolean;
  readonly hasLate: boolean;
  readonly hidesRows: boolean;
  /** Both indexes of entries are there and whole. */
  readonly hasIndexes: boolean;
  /** The last fold was not long ago, for what it took. */
  readonly rests: boolean;
}

/** @throws as the session @internal */
export async function lookAt(
  session: PgSession,
  sql: RollupSql,
  sqlEntries: string,
  marginMs: number,
): Promise<RollupLook> {
  const [row] = await session.texts(sql.look, [sqlEntries, String(marginMs / 1000)]);
  if (!row) throw new Error('the state of the rollups is missing');
  const [closed, written, found, moment, running, prepared, marks, late, hides, rests, indexes] =
    row;
  return {
    closedBefore: millis(closed),
    writtenUntil: millis(written),
    dimensions: found ?? '',
    moment: millis(moment),
    running: new Set((running ?? '').split(' ').filter(Boolean)),
    hasPrepared: prepared !== '0',
    hasMarks: marks === 'true',
    hasLate: late === 'true',
    hidesRows: hides === 'true',
    rests: rests === 'true',
    hasIndexes: indexes === 'true',
  };
}

/** @internal */
export function millis(text: string | null | undefined): number {
  return text == null ? NEVER : Number(text);
}

/**
 * Finds until when entries are complete, without a lock: every transaction that ran at a moment has
 * ended by a later look, so none can still write with a `written_at` of before.
 *
 * @internal
 */
export class SettledUntil {
  #noted: { readonly until: number; readonly running: ReadonlySet<string> } | undefined;
  #until = NEVER;

  /** Milliseconds since 1970; no running transaction can write an entry of then or before. */
  get until(): number {
    return this.#until;
  }

  note(look: RollupLook): void {
    const noted = this.#noted;
    const hasEnded =
      noted !== undefined &&
      !look.hasPrepared &&
      [...noted.running].every((transaction) => !look.running.has(transaction));
    if (hasEnded) {
      this.#until = Math.max(this.#until, noted.until);
      this.#noted = undefined;
    }
    this.#noted ??= { until: look.moment, running: look.running };
  }
}
