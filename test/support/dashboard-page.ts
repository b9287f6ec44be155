import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

/** How long to wait for what must come; a loaded machine needs some of it, a quick one nothing. */
export const PATIENCE_MS = 60_000;
/** The same as an option. */
export const PATIENCE = { timeout: PATIENCE_MS };
/** For the picture only: what a viewer would see after some time. */
export const settle = (of: Page, ms: number): Promise<void> =>
  process.env['LEDGER_SCREENSHOTS'] ? of.waitForTimeout(ms) : Promise.resolve();

/** Waits until the pill of the state says so. */
export async function untilState(of: Page, state: string): Promise<void> {
  await of.locator('#state', { hasText: state }).waitFor();
}

/** A figure of a tile, as a number. */
async function figure(of: Page, slot: string): Promise<number> {
  const text = (await of.locator(`[data-text="${slot}"]`).textContent()) ?? '';
  const scale = text.endsWith('K') ? 1000 : 1;
  return Number(text.replace(/[,K]/g, '')) * scale;
}

/** Waits until a figure of a tile is right. */
export async function untilFigure(of: Page, slot: string, isRight: (value: number) => boolean) {
  await expect.poll(async () => isRight(await figure(of, slot)), PATIENCE).toBe(true);
}

function sumOfFigures(lines: readonly string[]): number {
  return lines
    .filter((line) => /^[\d,]+$/.test(line))
    .reduce((sum, line) => sum + Number(line.replaceAll(',', '')), 0);
}

/** Both sums on the page at one time, recomputed from the shown terms. */
export async function sumsOf(of: Page): Promise<{ total: number; sum: number; verdict: string }[]> {
  const texts = await of.locator('.sum').allInnerTexts();
  return texts.map((text) => {
    const lines = text.split('\n').map((line) => line.trim());
    const equals = lines.indexOf('=');
    const total = sumOfFigures(lines.slice(0, equals));
    const sum = sumOfFigures(lines.slice(equals));
    return { total, sum, verdict: lines.find((line) => line.includes('add')) ?? '' };
  });
}

/** Pixels that the page is wider than the window. */
export const OVERFLOW = 'document.documentElement.scrollWidth - innerWidth';

/** Ends when the server has sent this many frames, to a source separate from the page's. */
export const framesLater = (frames: number): string => `new Promise((resolve) => {
  const source = new EventSource('/ledger-events');
  let left = ${frames} + 1;
  source.addEventListener('frame', () => {
    if (--left > 0) return;
    source.close();
    requestAnimationFrame(resolve);
  });
})`;

/** Elements that move or are recreated within four frames, and the states and advice shown meanwhile. */
const WATCH_MOVES = `(async () => {
  const canvases = [...document.querySelectorAll('canvas')];
  const shown = ['#state', '#advice'].map((id) => document.querySelector(id));
  const state = () => shown.map((each) => each.textContent).join();
  const states = new Set([state()]);
  const places = () =>
    [...document.querySelectorAll('.chart, .tile, .card')].map((each) => {
      const { top, left, height } = each.getBoundingClientRect();
      return [top, left, height].join();
    });
  const before = places();
  let shift = 0;
  const watch = new MutationObserver(() => states.add(state()));
  for (const each of shown)
    watch.observe(each, { childList: true, characterData: true, subtree: true });
  new PerformanceObserver((list) => {
    for (const { value } of list.getEntries()) shift += value;
  }).observe({ type: 'layout-shift' });
  await ${framesLater(4)};
  const same = [...document.querySelectorAll('canvas')].every((each, i) => each === canvases[i]);
  const moved = places().filter((place, i) => place !== before[i]).length;
  return { states: [...states], same, moved, shift };
})()`;
interface Moves {
  readonly states: readonly string[];
  readonly same: boolean;
  readonly moved: number;
  readonly shift: number;
}

/** Watches until state and advice stay what they are: a banner or a finding that comes up must move the rest. */
export async function movesOfCalmPage(of: Page): Promise<Moves> {
  for (;;) {
    await untilState(of, 'running');
    const moves = await of.evaluate<Moves>(WATCH_MOVES);
    if (moves.states.length === 1) return moves;
  }
}

/** The point at which the keys put the cursor: its time, and its figures in words. */
export async function pointAt(of: Page, slider: Locator, key: 'Home' | 'End') {
  await slider.focus();
  await of.keyboard.press(key);
  const [, time = '', figures = ''] =
    /^([\d:]{8}): (.*)$/.exec((await slider.getAttribute('aria-valuetext')) ?? '') ?? [];
  return { time, figures };
}
