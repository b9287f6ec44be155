import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from './support/example-app.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDERS = ['libs/ledger/dist/esm', 'libs/embedded-postgres/dist', 'libs/openai/dist', 'dist'];

let target: string;

beforeAll(async () => {
  await buildIfStale();
  target = await mkdtemp(join(tmpdir(), 'nestjs-ledger-transpiled-'));
  await promisify(execFile)(process.execPath, ['scripts/transpile.js', '--to', target], {
    cwd: ROOT,
  });
}, 180_000);

afterAll(() => rm(target, { recursive: true, force: true }));

/**
 * Each script below a folder, by its path from there, without what it says of types. Of a module of
 * types alone nothing is left, and what is published has no script of it.
 */
async function scriptsIn(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true });
  const scripts = names.filter((name) => name.endsWith('.js')).sort();
  const texts = scripts.map(async (name): Promise<[string, string]> => [
    name,
    withoutTypes(laidOutAlike(await readFile(join(folder, name), 'utf8'))),
  ]);
  const found = await Promise.all(texts);
  return Object.fromEntries(found.filter(([, text]) => text !== 'export{};'));
}

/** A single file can't distinguish an imported class from a type, so it checks at run time. */
function withoutTypes(text: string): string {
  return text
    .replaceAll(/var_a\b[^;]*;/g, '')
    .replaceAll(/__metadata\("design:(paramtypes|returntype)".*?\)(?=,__|,?\])/g, '');
}

/** Both compilers write the same words, and place comments and lines in their own way. */
function laidOutAlike(text: string): string {
  const compilerOptions = { target: ts.ScriptTarget.ESNext, removeComments: true };
  return ts.transpileModule(text, { compilerOptions }).outputText.replaceAll(/\s+/g, '');
}

describe('npm run build:start', () => {
  it.each(FOLDERS)('makes the same scripts in %s as the full build', async (folder) => {
    const built = await scriptsIn(join(ROOT, folder));
    expect(Object.keys(built).length).toBeGreaterThan(5);
    expect(await scriptsIn(join(target, folder))).toEqual(built);
  });
});
