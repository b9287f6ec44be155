import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { drawOutage, type OutageRun } from '../scripts/draw-outage.js';

const read = (name: string): Promise<string> =>
  readFile(new URL(`../docs/images/${name}`, import.meta.url), 'utf8');

/** Names of elements that are closed wrongly, or not at all. */
function unbalanced(xml: string): string[] {
  const open: string[] = [];
  for (const [, slash, name, rest] of xml.matchAll(/<(\/?)(\w+)([^<>]*)>/g)) {
    if (slash) {
      if (open.pop() !== name) return [name ?? ''];
    } else if (!rest?.endsWith('/')) open.push(name ?? '');
  }
  return open;
}

it('shows the outage that was recorded, in which nothing was refused or lost', async () => {
  const picture = await read('outage.svg');
  const run = JSON.parse(await read('outage.json')) as OutageRun;
  expect(picture).toBe(drawOutage(run));
  expect(run.refused).toBe(0);
  expect(run.verify).toContain(`queued ${run.answered}, in the table ${run.answered}`);
  expect(run.verify).toContain('missing 0');
  expect(run.backAt - run.killedAt).toBeGreaterThan(5);
  expect(picture).toContain(run.verify);
});

it('is well-formed, asks nothing of anybody, and stands still for who wants that', async () => {
  const picture = await read('outage.svg');
  expect(unbalanced(picture)).toEqual([]);
  expect(picture.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
    /https?:|href|url\(|@import|<script|&(?!(amp|lt|gt);)/,
  );
  const [still, moving] = picture.split('@media (prefers-reduced-motion: no-preference)');
  expect(still).not.toContain('animation');
  expect(moving).toContain('animation');
  expect(picture).toContain('@media (prefers-color-scheme: dark)');
});
