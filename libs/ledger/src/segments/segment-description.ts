import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { rowColumnsOf } from '../entry/columns.js';
import { fingerprint } from '../entry/compare-definitions.js';
import type { ColumnType, LedgerTable } from '../entry/ledger-definition.js';

/** A column of a segment's rows. @internal */
export interface SegmentColumn {
  /** Name in an entry. */
  readonly field: string;
  /** Name in the table. */
  readonly column: string;
  readonly type: ColumnType;
}

/** The table of the rows. @internal */
export interface SegmentTarget {
  readonly database?: string;
  readonly schema?: string | undefined;
  readonly table: string;
  /**
   * The table's id, stored next to it by a migration; unknown until the server was first reached.
   */
  readonly id?: string;
  /** A digest of the server's address, used until the id is known. */
  readonly address?: string;
}

/** The process that wrote a segment. @internal */
export interface SegmentAuthor {
  readonly host: string;
  readonly pid: number;
  /** The namespace of this pid; only on Linux. */
  readonly pidNamespace?: string;
}

/** The header of a segment, as JSON. @internal */
export interface SegmentDescription {
  /** Random, so that the frames of two files are never confused. */
  readonly id: string;
  /** Name of the ledger. */
  readonly ledger: string;
  /** Eight hex digits, as in `stats().run`. */
  readonly run: string;
  readonly target: SegmentTarget;
  /** Equal for equal definitions. */
  readonly fingerprint: string;
  /** In row order. */
  readonly columns: readonly SegmentColumn[];
  readonly author: SegmentAuthor;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

/** Ledgers have at most 27 columns; later versions may add more. */
const MAX_COLUMNS = 256;
const TYPES: ReadonlySet<unknown> = new Set<ColumnType>([
  ...(['text', 'bigint', 'integer', 'numeric', 'boolean', 'uuid', 'timestamptz'] as const),
  'jsonb',
]);

/** @param run eight hex digits @param now milliseconds since 1970 @internal */
export function describeSegment(
  table: LedgerTable,
  run: string,
  target: SegmentTarget,
  now: number,
): SegmentDescription {
  return {
    id: randomBytes(16).toString('hex'),
    ledger: table.name,
    run,
    target,
    fingerprint: fingerprint(table),
    columns: rowColumnsOf(table).map(({ field, column, type }) => ({ field, column, type })),
    author: ownAuthor(),
    createdAt: new Date(now).toISOString(),
  };
}

/** This process. @internal */
export function ownAuthor(): SegmentAuthor {
  const pidNamespace = readPidNamespace();
  const author = { host: hostname(), pid: process.pid };
  return pidNamespace === undefined ? author : { ...author, pidNamespace };
}

function readPidNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}

/** @returns undefined for bytes of any kind that are not a description @internal */
export function parseDescription(bytes: Buffer): SegmentDescription | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const found = JSON.parse(text) as SegmentDescription | null;
    return isDescription(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function isDescription(found: SegmentDescription | null): found is SegmentDescription {
  if (typeof found !== 'object' || found === null) return false;
  const { ledger, run, target, author, createdAt } = found;
  return (
    [ledger, run, createdAt, target?.table, author?.host].every(isText) &&
    Number.isInteger(author.pid) &&
    areColumns(found.columns)
  );
}

/**
 * Whether a value is a valid list of columns: few enough, of known types, the uuid first.
 *
 * @internal
 */
export function areColumns(columns: unknown): columns is readonly SegmentColumn[] {
  if (!Array.isArray(columns) || columns.length > MAX_COLUMNS) return false;
  const all = columns as (SegmentColumn | null)[];
  const [first] = all;
  return all.every((each) => isColumn(each)) && first?.field === 'uuid' && first.type === 'uuid';
}

function isColumn(column: SegmentColumn | null): boolean {
  return isText(column?.field) && isText(column?.column) && TYPES.has(column?.type);
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}
