import { readFileSync } from 'node:fs';
import { parse } from 'ini';
import type { NamedText } from './read-settings.js';

/**
 * All keys of an INI file with their texts, from the top level and every section, in file order. A
 * repeated key is returned twice.
 *
 * @param path relative to the working directory
 * @throws the file system's error (`code` ENOENT, EACCES, EISDIR, …) if the file can't be read
 * @internal
 */
export function readIniFile(path: string): NamedText[] {
  // Without array brackets, so that a repeated key is noticed and the last one does not win
  // silently.
  const tree: unknown = parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''), {
    bracketedArray: false,
  });
  return [...namedTexts(tree as Record<string, unknown>, '')];
}

function* namedTexts(section: Record<string, unknown>, title: string): Generator<NamedText> {
  for (const [name, value] of Object.entries(section)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      yield* namedTexts(value as Record<string, unknown>, title ? `${title}.${name}` : name);
      continue;
    }
    const place = title ? `[${title}] ${name}` : name;
    for (const each of Array.isArray(value) ? value : [value]) {
      yield { name, text: String(each), place };
    }
  }
}
