import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { headingAnchors, localLinks } from './support/markdown.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Folders of what is installed, built, or left by tests. */
const OTHERS = new Set(['node_modules', 'dist', 'coverage']);

/** Paths of all pages at or below a folder, from the repository's top. */
async function pagesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, folder), { withFileTypes: true });
  const found = entries.map(async (entry) => {
    const path = join(folder, entry.name);
    // A folder with a dot holds settings of tools; a worktree's `.git` is a file.
    const isOurs = !OTHERS.has(entry.name) && !entry.name.startsWith('.');
    if (entry.isDirectory()) return isOurs ? pagesBelow(path) : [];
    return entry.name.endsWith('.md') ? [path] : [];
  });
  return (await Promise.all(found)).flat().sort();
}

const pages = await pagesBelow('');

it('finds the pages that it is about', () => {
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/architecture.md']));
  expect(pages.filter((path) => path.startsWith('examples/')).length).toBeGreaterThan(7);
});

it.each(pages)('no link or image of %s leads nowhere', async (page) => {
  const broken: string[] = [];
  for (const target of localLinks(await readFile(join(ROOT, page), 'utf8'))) {
    const [path, anchor] = target.split('#');
    const file = path ? join(ROOT, dirname(page), path) : join(ROOT, page);
    const isThere = existsSync(file);
    const isAnchor = async (): Promise<boolean> =>
      headingAnchors(await readFile(file, 'utf8')).has(anchor ?? '');
    if (!isThere || (anchor && !(await isAnchor()))) broken.push(target);
  }
  expect(broken).toEqual([]);
});
