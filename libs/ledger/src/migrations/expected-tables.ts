import { NAME_ENDINGS } from '../entry/check-definition.js';
import { columnsOf } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';

/** One column as the definition requires it. @internal */
export interface ExpectedColumn {
  readonly name: string;
  /** As spelled by PostgreSQL's `format_type`. */
  readonly type: string;
  readonly isNullable: boolean;
  /** False for `written_at`, which the server fills in. */
  readonly isWritten: boolean;
  /** True if a separate migration adds it to an existing table. */
  readonly isDeclared: boolean;
}

/** One table as the definition requires it. @internal */
export interface ExpectedTable {
  readonly name: string;
  /** The column that must be unique by itself, so that no entry exists twice. */
  readonly key: string;
  readonly columns: readonly ExpectedColumn[];
}

/** @internal */
export function expectedEntries(table: LedgerTable): ExpectedTable {
  const columns = columnsOf(table).map(
    ({ column: name, type, isNullable, isInRow, isDeclared }) => ({
      name,
      type: spelledBySql(type),
      isNullable,
      isWritten: isInRow,
      isDeclared,
    }),
  );
  return { name: table.table, key: 'uuid', columns };
}

/** @internal */
export function expectedDeadLetters(table: LedgerTable): ExpectedTable {
  const columns = [
    'id uuid',
    'uuid uuid?',
    'reason text',
    'sql_state text?',
    'detail text',
    'attempts integer',
    'queued_at timestamptz',
    'dead_lettered_at timestamptz',
    'entry jsonb',
    'written_at timestamptz',
  ];
  return { name: table.table + NAME_ENDINGS.deadLetters, key: 'id', columns: columns.map(column) };
}

/** Reads `name type`, with a `?` at the end if the column may be NULL. */
function column(text: string): ExpectedColumn {
  const [name = '', type = ''] = text.split(' ');
  const plainType = type.replace('?', '');
  return {
    name,
    type: spelledBySql(plainType),
    isNullable: type.endsWith('?'),
    isWritten: name !== 'written_at',
    isDeclared: false,
  };
}

/** As spelled by `format_type`. */
function spelledBySql(type: string): string {
  return type === 'timestamptz' ? 'timestamp with time zone' : type;
}
