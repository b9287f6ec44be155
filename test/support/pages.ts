import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeBlocks } from './markdown.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A block of TypeScript, and a page that it stands on. */
export interface PageExample {
  readonly name: string;
  readonly code: string;
  /** From the repository's top. */
  readonly page: string;
}

/** Paths of the pages that users read, from the repository's top: both READMEs, and `docs`. */
export async function userPages(): Promise<string[]> {
  const names = await readdir(join(ROOT, 'docs'));
  const docs = names.filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`);
  return ['README.md', 'libs/ledger/README.md', ...docs.sort()];
}

/** @param path from the repository's top */
export function readPage(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8');
}

/**
 * Every block of TypeScript on these pages.
 *
 * @throws Error if one has no name, or if two of one name differ
 */
export async function pageExamples(pages: readonly string[]): Promise<PageExample[]> {
  const found = new Map<string, PageExample>();
  for (const page of pages) {
    for (const { language, name, code } of codeBlocks(await readPage(page))) {
      if (!/^(ts|typescript|js|javascript)$/.test(language)) continue;
      if (name === undefined) throw new Error(`${page} has an example without a name:\n${code}`);
      const other = found.get(name);
      if (other && other.code !== code) {
        throw new Error(`${page} and ${other.page} have different examples named ${name}`);
      }
      found.set(name, { name, code, page });
    }
  }
  return [...found.values()];
}

/** Code of the example of this name on any of these pages. @throws Error if there is none */
export async function findExample(name: string): Promise<string> {
  const examples = await pageExamples(await userPages());
  const example = examples.find((each) => each.name === name);
  if (!example) throw new Error(`no page has an example named ${name}`);
  return example.code;
}
