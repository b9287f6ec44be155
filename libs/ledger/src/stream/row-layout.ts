import { createHash } from 'node:crypto';
import { rowColumnsOf } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { areColumns, type SegmentColumn } from '../segments/segment-description.js';

/** The columns of rows in order, and their fingerprint. @internal */
export interface RowLayout {
  /** 16 hex digits, the same for equal columns in equal order, with any table name. */
  readonly fingerprint: string;
  readonly columns: readonly SegmentColumn[];
}

/**
 * Digits that distinguish the layouts of one ledger: among 2^32 layouts two are equal with a chance
 * of 1 in 2.
 */
const FINGERPRINT_DIGITS = 16;

/** The layout of a definition's rows. @internal */
export function layoutOf(table: Pick<LedgerTable, 'ids' | 'columns'>): RowLayout {
  const columns = rowColumnsOf(table).map(({ field, column, type }) => ({ field, column, type }));
  return { fingerprint: fingerprintOf(columns), columns };
}

/** SHA-256 of the columns' names and types, in order. @internal */
export function fingerprintOf(columns: readonly SegmentColumn[]): string {
  const text = JSON.stringify(columns.map(({ column, type }) => [column, type]));
  return createHash('sha256').update(text).digest('hex').slice(0, FINGERPRINT_DIGITS);
}

/** The form of a header: field, column and type of each column, as JSON. @internal */
export function formatColumns(columns: readonly SegmentColumn[]): string {
  return JSON.stringify(columns.map(({ field, column, type }) => [field, column, type]));
}

/** @returns undefined for any text that is not a list of columns @internal */
export function parseColumns(text: string | undefined): readonly SegmentColumn[] | undefined {
  try {
    const list = JSON.parse(text ?? '') as unknown;
    if (!Array.isArray(list)) return undefined;
    const columns = (list as unknown[]).map((each) => {
      const [field, column, type] = Array.isArray(each) ? (each as unknown[]) : [];
      return { field, column, type };
    });
    return areColumns(columns) ? columns : undefined;
  } catch {
    return undefined;
  }
}
