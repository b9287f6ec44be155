/** A broken rule of a schema, and its place. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The fault of a request, in the form of OpenAI's API errors. */
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

/** Writes a path like OpenAI: `messages[0].role`. */
function fieldOf(path: SchemaIssue['path']): string {
  const keys = (path ?? []).map((part) => (typeof part === 'object' ? part.key : part));
  const field = keys
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('');
  return field.replace(/^\./, '') || 'body';
}
