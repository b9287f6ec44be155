import type { Filter } from '../ports/summary-filter.interface.js';
import { quoteIdentifier } from '../postgres/quote-sql.js';
import type { SqlParameters } from '../postgres/read-rows.js';

/** One condition for each filter; values are parameters. @internal */
export function filterSql(filters: readonly Filter[], parameters: SqlParameters): string[] {
  return filters.map(({ column, type, value }) => {
    const name = quoteIdentifier(column);
    return value === null ? `${name} IS NULL` : `${name} = ${parameters.add(value, type)}`;
  });
}
