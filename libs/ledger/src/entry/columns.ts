import type { ColumnType, LedgerTable } from './ledger-definition.js';

/** One column of a ledger's table. @internal */
export interface LedgerColumn {
  /** Name of the entry's field, in camel case. */
  readonly field: string;
  /** Name of the table's column, in snake case, unquoted. */
  readonly column: string;
  readonly type: ColumnType;
  readonly isNullable: boolean;
  /** False for `written_at`, which the server fills in: no row carries it. */
  readonly isInRow: boolean;
  /** True for a column that the application declares; a separate migration adds it. */
  readonly isDeclared: boolean;
}

/** Placeholder for the definition's type of ids. */
const IDS = 'ids';

/** The columns that every ledger has, in table order: field, type, and whether it takes NULL. */
const BUILT_IN = [
  ['uuid', 'uuid', false],
  ['userId', IDS, false],
  ['apiKeyId', IDS, true],
  ['serviceId', IDS, true],
  ['promptTokens', 'integer', false],
  ['completionTokens', 'integer', false],
  ['direction', 'text', false],
  ['memo', 'text', true],
  ['attributes', 'jsonb', true],
  ['corrects', 'uuid', true],
  ['createdAt', 'timestamptz', false],
  ['writtenAt', 'timestamptz', false],
] as const;

/** Fields and columns that no application can declare. @internal */
export const BUILT_IN_NAMES: readonly { readonly field: string; readonly column: string }[] =
  BUILT_IN.map(([field]) => ({ field, column: columnName(field) }));

/** Snake case of a camel case field: `costNanos` to `cost_nanos`. @internal */
export function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * All columns of a ledger's table in its order: the built-in ones, then the declared ones. Verification,
 * the TypeORM entity, the codec's order, the column list of COPY and what reads select come from here.
 *
 * @internal
 */
export function columnsOf(table: Pick<LedgerTable, 'ids' | 'columns'>): LedgerColumn[] {
  const builtIn = BUILT_IN.map(([field, type, isNullable]) => ({
    field,
    column: columnName(field),
    type: type === IDS ? table.ids : type,
    isNullable,
    isInRow: field !== 'writtenAt',
    isDeclared: false,
  }));
  const declared = Object.entries(table.columns).map(([field, type]) => ({
    field,
    column: columnName(field),
    type,
    isNullable: true,
    isInRow: true,
    isDeclared: true,
  }));
  return [...builtIn, ...declared];
}

/** The columns that a row carries, in the order of the row. @internal */
export function rowColumnsOf(table: Pick<LedgerTable, 'ids' | 'columns'>): LedgerColumn[] {
  return columnsOf(table).filter(({ isInRow }) => isInRow);
}

/** Names of the columns that a row carries, in the order of the row. @internal */
export function rowColumns(table: Pick<LedgerTable, 'ids' | 'columns'>): string[] {
  return rowColumnsOf(table).map(({ column }) => column);
}
