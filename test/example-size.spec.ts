import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SOURCES = fileURLToPath(new URL('../src', import.meta.url));
const MOST_LINES = 800;

describe('The example application in src', () => {
  it(`has at most ${MOST_LINES} lines, comments and empty ones included, besides its tests`, async () => {
    const names = await readdir(SOURCES, { recursive: true });
    const sources = names.filter((name) => name.endsWith('.ts') && !name.endsWith('spec.ts'));
    const texts = await Promise.all(sources.map((name) => readFile(join(SOURCES, name), 'utf8')));
    const lines = texts.reduce((sum, text) => sum + text.split('\n').length - 1, 0);
    expect(lines).toBeGreaterThan(400);
    expect(lines).toBeLessThanOrEqual(MOST_LINES);
  });
});
