import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
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

it('the npm page leads to the documentation of its own version', async () => {
  // As deep as the page itself, from where its links start; ignored by git.
  const folder = join(ROOT, '.tmp', `npm-page-${process.pid}`);
  const copy = join(folder, 'README.md');
  const base = 'https://example.com/owner/name/blob/v1.2.3';
  await mkdir(folder, { recursive: true });
  try {
    await copyFile(join(ROOT, 'libs/ledger/README.md'), copy);
    const script = join(ROOT, 'scripts/link-readme.js');
    await promisify(execFile)(process.execPath, [script, relative(ROOT, copy), base]);
    const page = await readFile(copy, 'utf8');
    expect(localLinks(page)).toEqual([]);
    const targets = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? '');
    expect(targets.length).toBeGreaterThan(10);
    for (const target of targets) {
      expect(target.slice(0, base.length)).toBe(base);
      expect(existsSync(join(ROOT, target.slice(base.length))), target).toBe(true);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
