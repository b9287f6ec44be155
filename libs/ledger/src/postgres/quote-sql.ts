/** Any name as a quoted SQL identifier. @internal */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * The name of a relation or function as SQL text.
 *
 * @param schema undefined: the search path decides
 * @internal
 */
export function qualify(schema: string | undefined, name: string): string {
  return `${schema === undefined ? '' : `${quoteIdentifier(schema)}.`}${quoteIdentifier(name)}`;
}

/** A text as an SQL literal. @internal */
export function literalSql(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** @param names unquoted @internal */
export function columnList(names: readonly string[], prefix = ''): string {
  return names.map((name) => prefix + quoteIdentifier(name)).join(', ');
}
