/** Field of a stored entry that is spelled in ASCII; no definition can have a column of this name. */
const SPELLED = '$json';

/**
 * An entry for a database whose encoding cannot hold it: as the text of its JSON in ASCII, with `\uXXXX`
 * for all else. As JSON itself the server would read the escapes, and refuse them as it refuses the
 * characters. Source: PostgreSQL's manual, "JSON Types", on Unicode escapes in jsonb.
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

/** The entry as it was recorded, whether it was stored as it is or spelled in ASCII. @internal */
export function readStoredEntry(stored: Record<string, unknown>): Record<string, unknown> {
  const spelled = stored[SPELLED];
  if (typeof spelled !== 'string' || Object.keys(stored).length !== 1) return stored;
  const entry: unknown = JSON.parse(spelled);
  return typeof entry === 'object' && entry !== null ? (entry as Record<string, unknown>) : stored;
}
