import { createHash } from 'node:crypto';
import { rowColumnsOf } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { areColumns, type SegmentColumn } from '../segments/segment-description.js';

/** The columns of rows in their order, and the name of that. @internal */
export interface RowLayout {
  /** 16 hex digits, the same for equal columns in equal order, whatever the table's name. */
  readonly fingerprint: string;
  readonly columns: readonly SegmentColumn[];
}

/** Digits that tell the layouts of one ledger apart: two of 2^32 are alike with a chance of 1 in 2. */
const FINGERPRINT_DIGITS = 16;

/** The layout of a definition's rows. @internal */
export function layoutOf(table: Pick<LedgerTable, 'ids' | 'columns'>): RowLayout {
  const columns = rowColumnsOf(table).map(({ field, column, type }) => ({ field, column, type }));
  return { fingerprint: fingerprintOf(columns), columns };
}

/** SHA-256 of the columns' names and types in their order. @internal */
export function fingerprintOf(columns: readonly SegmentColumn[]): string {
  const text = JSON.stringify(columns.map(({ column, type }) => [column, type]));
  return createHash('sha256').update(text).digest('hex').slice(0, FINGERPRINT_DIGITS);
}

/** As a header has it: field, column and type of each column, as JSON. @internal */
export function formatColumns(columns: readonly SegmentColumn[]): string {
  return JSON.stringify(columns.map(({ field, column, type }) => [field, column, type]));
}

/** @returns undefined for what is no list of columns, whatever the text @internal */
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
