/** A broken rule of a schema, and where. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What is wrong with a request, as an error of OpenAI's API says it. */
export interface RequestFault {
  readonly message: string;
  /** The first field at fault. */
  readonly param: string;
}

/** Names every field at fault and its rule. */
export function describeIssues(issues: readonly SchemaIssue[]): RequestFault {
  const faults = issues.map(({ path, message }) => ({ field: fieldOf(path), rule: message }));
  const message = faults.map(({ field, rule }) => `${field}: ${rule}`).join('; ');
  return { message, param: faults[0]?.field ?? 'body' };
}

/** Spells a path as OpenAI does: `messages[0].role`. */
function fieldOf(path: SchemaIssue['path']): string {
  const keys = (path ?? []).map((part) => (typeof part === 'object' ? part.key : part));
  const field = keys
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('');
  return field.replace(/^\./, '') || 'body';
}
