import assert from 'node:assert/strict';

/**
 * Fills names and types into an SQL template.
 *
 * - `{word}` is replaced by the value of that name; dots are part of a word.
 * - Dollar quotes have a tag (`$body$`). A tag that occurs in a value gets a number, so that no
 *   name ends a quoted text.
 *
 * @throws AssertionError if a placeholder has no value
 * @internal
 */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  const tagged = template.replaceAll(DOLLAR_TAG, (tag) => freeTag(tag, Object.values(values)));
  return tagged.replaceAll(PLACEHOLDER, (placeholder: string, word: string) => {
    const value = values[word];
    assert(value !== undefined, `an SQL template has no value for ${placeholder}`);
    return value;
  });
}

const PLACEHOLDER = /\{([a-zA-Z][\w.]*)\}/g;
const DOLLAR_TAG = /\$[a-z]+\$/g;

function freeTag(tag: string, values: readonly string[]): string {
  let free = tag;
  for (let count = 1; values.some((value) => value.includes(free)); count += 1) {
    free = `${tag.slice(0, -1)}${count}$`;
  }
  return free;
}
