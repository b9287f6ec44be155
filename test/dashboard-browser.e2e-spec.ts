import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { ChatLoad } from './support/chat-load.js';
import { DashboardBrowser, hasChromium, picture } from './support/dashboard-browser.js';
import type { Faults } from './support/dashboard-browser.js';
import { GatewayProcess } from './support/gateway-process.js';
import { startTcpProxy, type TcpProxy } from './support/tcp-proxy.js';

const SCHEMA = `dashboard_${process.pid}_${Date.now()}`;
/** What the browser itself says of a server that is gone; the page can't keep it from that. */
const GONE = /ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/;

let browser: DashboardBrowser;
let admin: pg.Client;
let folder: string;
let gateway: GatewayProcess | undefined;
let load: ChatLoad | undefined;
let page: (Page & Faults) | undefined;

interface Started {
  readonly url: string;
  readonly environment: Record<string, string>;
}

/** Starts the built gateway on the suite's database, reached by way of `database`. */
async function start(database: string, more: Record<string, string> = {}): Promise<Started> {
  const environment = {
    DATABASE_URL: `${database}?options=-csearch_path%3D${SCHEMA}`,
    DATA_DIR: folder,
    ...more,
  };
  gateway = await GatewayProcess.spawn(environment);
  const url = await gateway.url();
  return { url, environment: { ...environment, PORT: new URL(url).port } };
}

async function look(url: string, options?: Parameters<DashboardBrowser['open']>[1]) {
  page = await browser.open(url, options);
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

/** Waits until the pill of the state says so. */
async function untilState(of: Page, state: string): Promise<void> {
  await of.locator('#state', { hasText: state }).waitFor({ timeout: 25_000 });
}

/** A figure of a tile, as a number. */
async function figure(of: Page, slot: string): Promise<number> {
  const text = (await of.locator(`[data-text="${slot}"]`).textContent()) ?? '';
  const scale = text.endsWith('K') ? 1000 : 1;
  return Number(text.replace(/[,K]/g, '')) * scale;
}

async function untilFigure(of: Page, slot: string, isRight: (value: number) => boolean) {
  await expect.poll(async () => isRight(await figure(of, slot)), { timeout: 25_000 }).toBe(true);
}

/** Both sums as the page shows them at one moment, computed anew from what it shows. */
async function sumsOf(of: Page): Promise<{ total: number; sum: number; verdict: string }[]> {
  const texts = await of.locator('.sum').allInnerTexts();
  return texts.map((text) => {
    const lines = text.split('\n').map((line) => line.trim());
    const [total = NaN, ...values] = lines
      .filter((line) => /^[\d,]+$/.test(line))
      .map((line) => Number(line.replaceAll(',', '')));
    const sum = values.reduce((a, b) => a + b, 0);
    return { total, sum, verdict: lines.find((line) => line.includes('add')) ?? '' };
  });
}

const OVERFLOW = 'document.documentElement.scrollWidth - innerWidth';

/** What moves or is made anew within four seconds. */
const WATCH_MOVES = `(async () => {
  const canvases = [...document.querySelectorAll('canvas')];
  const places = () =>
    [...document.querySelectorAll('.chart, .tile, .card')].map((each) => {
      const { top, left, height } = each.getBoundingClientRect();
      return [top, left, height].join();
    });
  const before = places();
  let shift = 0;
  new PerformanceObserver((list) => {
    for (const { value } of list.getEntries()) shift += value;
  }).observe({ type: 'layout-shift' });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const same = [...document.querySelectorAll('canvas')].every((each, i) => each === canvases[i]);
  return { same, moved: places().filter((place, i) => place !== before[i]).length, shift };
})()`;

describe.skipIf(!hasChromium)('the dashboard in Chromium', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    admin = new pg.Client({ connectionString: inject('databaseUrl') });
    await admin.connect();
    await admin.query(`CREATE SCHEMA ${SCHEMA}; SET search_path = ${SCHEMA}`);
    folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-dashboard-'));
    await chmod(folder, 0o755);
    browser = await DashboardBrowser.launch();
  });
  afterEach(async () => {
    await load?.stop();
    await page?.context().close();
    await gateway?.end('SIGKILL');
    [load, page, gateway] = [undefined, undefined, undefined];
  });
  afterAll(async () => {
    await browser.close();
    await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE`);
    await admin.end();
    await rm(folder, { recursive: true, force: true });
  });

  it('shows a ledger under load, in light and dark, on a desk and on a phone', async () => {
    const { url } = await start(inject('databaseUrl'), {
      LEDGER_ASYNC_PROFILE: 'medium',
      LEDGER_ASYNC_FLUSH_MS: '500',
      LEDGER_ASYNC_SPILL_DIR: '.tmp/spill',
    });
    load = new ChatLoad(url, 6);
    const desk = await look(url, { colorScheme: 'light' });
    await untilState(desk, 'running');
    await untilFigure(desk, 'inRate', (rate) => rate > 10);
    await untilFigure(desk, 'outRate', (rate) => rate > 10);
    for (const { total, sum, verdict } of await sumsOf(desk)) {
      expect([sum, verdict]).toEqual([total, '✓ adds up']);
      expect(total).toBeGreaterThan(0);
    }
    const settings = desk.locator('#settings');
    await expect(settings.getByRole('row', { name: /flushMs/ }).textContent()).resolves.toBe(
      'flushMs500 msenvironment',
    );
    await expect(settings.getByRole('row', { name: /numWorkers/ }).textContent()).resolves.toBe(
      'numWorkers2profile medium, environment',
    );
    if (process.env['LEDGER_SCREENSHOTS']) await desk.waitForTimeout(45_000);
    await picture(desk, 'load', true);
    await desk.emulateMedia({ colorScheme: 'dark' });
    const dark = await desk.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    expect(dark).toBe('rgb(11, 14, 19)');
    await desk.waitForTimeout(1100);
    await picture(desk, 'load-dark', true);
    await desk.emulateMedia({ colorScheme: 'light' });
    for (const width of [360, 768, 1100]) {
      await desk.setViewportSize({ width, height: 780 });
      await expect.poll(() => desk.evaluate<number>(OVERFLOW)).toBeLessThanOrEqual(0);
      const chart = desk.locator('.chart canvas').first();
      await expect.poll(async () => (await chart.boundingBox())?.width).toBeLessThan(width);
      if (width === 360) await picture(desk, 'phone');
    }
    expect(desk.list).toEqual([]);
  });

  it('can be used by keyboard, and read without seeing', async () => {
    const { url } = await start(inject('databaseUrl'));
    load = new ChatLoad(url, 1);
    const desk = await look(url);
    await untilFigure(desk, 'inRate', (rate) => rate > 0);
    await desk.keyboard.press('Tab');
    await desk.keyboard.press('Enter');
    expect(await desk.locator(':focus').getAttribute('id')).toBe('main');
    await desk.keyboard.press('Tab');
    const slider = desk.getByRole('slider', { name: 'Entries over time' });
    expect(await desk.locator(':focus').getAttribute('aria-label')).toBe('Entries over time');
    await desk.keyboard.press('Home');
    const first = await slider.getAttribute('aria-valuetext');
    await desk.keyboard.press('ArrowRight');
    const second = await slider.getAttribute('aria-valuetext');
    expect(first).toMatch(/^\d\d:\d\d:\d\d: in .*, out /);
    expect(second).toMatch(/^\d\d:\d\d:\d\d: in [\d.,K]+, out [\d.,K]+$/);
    expect(second).not.toBe(first);
    await desk.keyboard.press('Escape');
    await desk.keyboard.press('Tab');
    await desk.keyboard.press('Enter');
    const table = desk.getByRole('table', { name: 'Entries' });
    await expect(table.getByRole('columnheader').allTextContents()).resolves.toEqual([
      'Time',
      'in',
      'out',
    ]);
    expect(await table.getByRole('row').count()).toBeGreaterThan(1);
    const pause = desk.getByRole('button', { name: 'Pause' });
    await pause.focus();
    await desk.keyboard.press('Space');
    expect(await pause.getAttribute('aria-pressed')).toBe('true');
    const paused = await desk.locator('[data-text="offered"]').textContent();
    await desk.waitForTimeout(2500);
    expect(await desk.locator('[data-text="offered"]').textContent()).toBe(paused);
    await desk.keyboard.press('Space');
    await expect.poll(() => desk.locator('[data-text="offered"]').textContent()).not.toBe(paused);
    for (const role of ['banner', 'main', 'contentinfo', 'status'] as const) {
      expect(await desk.getByRole(role).count()).toBe(1);
    }
    expect(await desk.getByRole('status').textContent()).toBe('The ledger is running.');
    expect(desk.list).toEqual([]);
  });

  it('does not flicker: nothing moves or is made anew from second to second', async () => {
    const { url } = await start(inject('databaseUrl'));
    load = new ChatLoad(url, 1);
    const desk = await look(url);
    await untilFigure(desk, 'inRate', (rate) => rate > 0);
    await desk.waitForTimeout(2000);
    const seen = await desk.evaluate(WATCH_MOVES);
    expect(seen).toEqual({ same: true, moved: 0, shift: expect.any(Number) });
    // A figure that gets a digit more moves its unit by some pixels, and that is all that moves.
    expect((seen as { shift: number }).shift).toBeLessThan(0.01);
  });

  it('tells a full channel, a database that is away, and a drain, and lives through a restart', async () => {
    let proxy: TcpProxy = await startTcpProxy(inject('databaseUrl'));
    const { port } = proxy;
    const { url, environment } = await start(proxy.url, {
      LEDGER_ASYNC_BUFFER_SIZE: '400',
      LEDGER_ASYNC_BATCH_SIZE: '50',
      LEDGER_ASYNC_FLUSH_MS: '200',
      LEDGER_ASYNC_SHUTDOWN_TIMEOUT_MS: '12000',
    });
    load = new ChatLoad(url, 4);
    const desk = await look(url);
    await untilState(desk, 'running');
    await untilFigure(desk, 'outRate', (rate) => rate > 0);

    // Full: the server answers, but nothing can be written.
    await admin.query('BEGIN; LOCK TABLE usage_entries IN ACCESS EXCLUSIVE MODE');
    await untilState(desk, 'down');
    await untilFigure(desk, 'saturation', (percent) => percent === 100);
    await untilFigure(desk, 'dropped', (count) => count > 0);
    await desk.getByText('The channel is 100 % full', { exact: false }).first().waitFor();
    await expect(desk.locator('#lost-tile').getAttribute('data-level')).resolves.toBe('down');
    const advice = desk.locator('#advice');
    await advice.getByText('bufferSize', { exact: false }).first().waitFor({ timeout: 20_000 });
    await picture(desk, 'full');
    await admin.query('COMMIT');
    await untilState(desk, 'running');

    // Away: nobody listens.
    await proxy.close();
    await untilState(desk, 'database away');
    await desk
      .getByText(/Entries are kept|No room is left/)
      .first()
      .waitFor();
    await untilFigure(desk, 'retries', (count) => count > 0);
    if (process.env['LEDGER_SCREENSHOTS']) await desk.waitForTimeout(4000);
    await picture(desk, 'away');
    for (const { total, sum } of await sumsOf(desk)) expect(sum).toBe(total);

    // Draining: the process stops, and waits for the database as long as it may.
    const ending = gateway?.end('SIGTERM');
    await untilState(desk, 'draining');
    if (process.env['LEDGER_SCREENSHOTS']) await desk.waitForTimeout(2500);
    await picture(desk, 'draining');
    await load.stop();
    await ending;
    await desk.getByText('reconnecting', { exact: true }).waitFor();
    await desk.getByText('No connection.').waitFor();
    const run = await desk.locator('[data-text="run"]').textContent();

    // The same address again: the page goes on by itself, with what it knew.
    proxy = await startTcpProxy(inject('databaseUrl'), port);
    gateway = await GatewayProcess.spawn(environment);
    await gateway.url();
    await desk.getByText('live', { exact: true }).waitFor({ timeout: 25_000 });
    await untilState(desk, 'running');
    expect(await desk.locator('[data-text="run"]').textContent()).not.toBe(run);
    const slider = desk.getByRole('slider', { name: 'Retries and drops over time' });
    await slider.focus();
    await desk.keyboard.press('Home');
    expect(Number(await slider.getAttribute('aria-valuemax'))).toBeGreaterThan(15);
    expect(desk.list.filter((each) => !GONE.test(each))).toEqual([]);
    await proxy.close();
  });

  it('shows what comes from outside as text, and leaves the reader no way in', async () => {
    const { url } = await start(inject('databaseUrl'));
    const evil = '<img src=x onerror="document.title=1">';
    page = await browser.open(url);
    // The page is opened anew below, with other events.
    await page.route('**/ledger-events*', (route) => {
      const settings = { batchSize: { value: evil, source: evil } };
      const finding = { rule: evil, constraint: evil, severity: evil, summary: evil, remedy: evil };
      return fetch(`${url}/ledger-events`).then(async (response) => {
        const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
        let text = '';
        while (!text.includes('event: hello') || !text.endsWith('\n\n')) {
          text += (await reader.read()).value ?? '';
        }
        await reader.cancel();
        const hello = JSON.parse(/data: (.*)/.exec(text)![1]!);
        const advice = [{ ...finding, evidence: [], change: { setting: evil, from: 1, to: 2 } }];
        const now = { ...hello.now, run: evil, healthReason: evil, health: 'down', advice };
        const data = { ...hello, ledger: evil, ledgers: [evil, 'b'], settings, now };
        await route.fulfill({
          contentType: 'text/event-stream',
          body: `retry: 60000\nevent: hello\nid: a.1\ndata: ${JSON.stringify(data)}\n\n`,
        });
      });
    });
    await page.goto(url);
    await page.getByText(evil).first().waitFor();
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.title()).toContain('<img');
    expect(await page.locator('#advice').textContent()).toContain(evil);
    expect(page.list.filter((each) => !GONE.test(each))).toEqual([]);
  });
});
