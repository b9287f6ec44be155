/**
 * Makes the relative links of a page absolute, so that npm shows those of the version that it was packed from:
 * `node scripts/link-readme.js libs/ledger/README.md https://github.com/owner/name/blob/v1.2.3`. npm itself
 * would lead to the newest commit of the default branch.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const [page, base] = process.argv.slice(2);
if (!page || !base?.startsWith('https://')) {
  throw new Error('usage: link-readme.js <page> <https://… of the repository at a tag>');
}

const path = join(ROOT, page);
const text = readFileSync(path, 'utf8');
const linked = text.replaceAll(/\]\((?![a-z]+:|#)([^)\s]+)\)/g, (_, target) => {
  return `](${base}/${posix.join(dirname(page), target)})`;
});
writeFileSync(path, linked);
