/** Field with the ASCII form of a stored entry; columns of a definition can't have this name. */
const SPELLED = '$json';

/**
 * The ASCII form of an entry, for a database whose encoding cannot hold it: the text of its JSON,
 * with `\uXXXX` for all other characters. In a JSON value the server would interpret the escapes
 * and refuse them like the characters. Source: PostgreSQL's manual, "JSON Types", on Unicode
 * escapes in jsonb.
 *
 * @param json the entry as JSON
 * @internal
 */
export function escapeEntry(json: string): Readonly<Record<string, unknown>> {
  const spelled = json.replaceAll(/[^\0-\x7f]/g, (character) => {
    const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
  });
  return { [SPELLED]: spelled };
}

/** The original entry, stored unchanged or in its ASCII form. @internal */
export function readStoredEntry(stored: Record<string, unknown>): Record<string, unknown> {
  const spelled = stored[SPELLED];
  if (typeof spelled !== 'string' || Object.keys(stored).length !== 1) return stored;
  const entry: unknown = JSON.parse(spelled);
  return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : stored;
}
