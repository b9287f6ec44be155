import { rowColumns } from '../entry/columns.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { columnList, quoteIdentifier } from '../postgres/quote-sql.js';
import { rowTypes } from './column-arrays.js';
import type { RowSource } from './table-sql.js';

/** The position of a row in its batch; columns of a definition can't have this name. */
const POSITION = '?position';

/** A batch as one array parameter per column: `$1` is the first column of a row. @internal */
export function arraySource(table: LedgerTable): RowSource {
  const columns = rowColumns(table);
  const arrays = rowTypes(table).map((type, index) => `$${index + 1}::${type}[]`);
  const alias = `s (${columnList([...columns, POSITION])})`;
  return {
    from: `unnest(${arrays.join(', ')}) WITH ORDINALITY AS ${alias}`,
    order: `s.${quoteIdentifier(POSITION)}`,
    columns,
  };
}
