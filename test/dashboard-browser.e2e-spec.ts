import { findFreePort } from '@app/embedded-postgres';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { ChatLoad } from './support/chat-load.js';
import { DashboardBrowser, hasChromium, picture } from './support/dashboard-browser.js';
import type { Faults } from './support/dashboard-browser.js';
import {
  framesLater,
  movesOfCalmPage,
  OVERFLOW,
  PATIENCE,
  pointAt,
  settle,
  sumsOf,
  untilFigure,
  untilState,
} from './support/dashboard-page.js';
import { GatewayProcess } from './support/gateway-process.js';
import {
  startTcpProxy,
  type TcpProxy,
} from '../libs/ledger/src/postgres/fixtures/tcp-proxy.fixture.js';

const SCHEMA = `dashboard_${process.pid}_${Date.now()}`;
/** What the browser itself says of a server that is gone; the page can't keep it from that. */
const GONE = /ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/;

const TOKEN = 'of-the-tests-in-a-browser';
const KEY = `ledger-token=${TOKEN}`;

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
    // So that the page, once opened, lives through a restart.
    LEDGER_DASHBOARD_TOKEN: TOKEN,
    // Nobody else gets it while the gateway is away.
    PORT: `${await findFreePort()}`,
    ...more,
  };
  gateway = await GatewayProcess.spawn(environment);
  return { url: await gateway.url(), environment };
}

async function look(url: string, options?: Parameters<DashboardBrowser['open']>[1]) {
  page = await browser.open(`${url}/?${KEY}`, options);
  await page.getByText('live', { exact: true }).waitFor();
  return page;
}

describe.skipIf(!hasChromium)('the dashboard in Chromium', { timeout: 300_000 }, () => {
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
    await untilFigure(desk, 'inRate', (rate) => rate > 0);
    await untilFigure(desk, 'outRate', (rate) => rate > 0);
    for (const { total, sum, verdict } of await sumsOf(desk)) {
      expect([sum, verdict]).toEqual([total, '✓ adds up']);
      expect(total).toBeGreaterThan(0);
    }
    // The gateway has a journal.
    expect(await desk.locator('#journal-tile').isVisible()).toBe(true);
    expect(await desk.locator('#law').getByText('recovered').first().isVisible()).toBe(true);
    const settings = desk.locator('#settings');
    await expect(settings.getByRole('row', { name: /flushMs/ }).textContent()).resolves.toBe(
      'flushMs500 msenvironment',
    );
    await expect(settings.getByRole('row', { name: /numWorkers/ }).textContent()).resolves.toBe(
      'numWorkers2profile medium, environment',
    );
    await settle(desk, 45_000);
    await picture(desk, 'load', true);
    await desk.emulateMedia({ colorScheme: 'dark' });
    const background = 'getComputedStyle(document.body).backgroundColor';
    await expect.poll(() => desk.evaluate<string>(background), PATIENCE).toBe('rgb(11, 14, 19)');
    await settle(desk, 1100);
    await picture(desk, 'load-dark', true);
    await desk.emulateMedia({ colorScheme: 'light' });
    for (const width of [360, 768, 1100]) {
      await desk.setViewportSize({ width, height: 780 });
      await expect.poll(() => desk.evaluate<number>(OVERFLOW), PATIENCE).toBeLessThanOrEqual(0);
      const chart = desk.locator('.chart canvas').first();
      await expect
        .poll(async () => (await chart.boundingBox())?.width, PATIENCE)
        .toBeLessThan(width);
      if (width === 360) await picture(desk, 'phone');
    }
    expect(desk.list).toEqual([]);
  });

  it('shows the journal, and what was recovered from a run that was killed', async () => {
    const { url, environment } = await start(inject('databaseUrl'), {
      LEDGER_ASYNC_JOURNAL_DIR: join(folder, 'journal'),
      LEDGER_ASYNC_BATCH_SIZE: '5000',
      LEDGER_ASYNC_FLUSH_MS: '60000',
    });
    load = new ChatLoad(url, 2);
    let desk = await look(url);
    const tile = desk.locator('#journal-tile');
    // A disk that is slow for a moment takes the place of the number of files for a minute.
    await tile.getByText(/1 file|slow disk/).waitFor();
    await untilFigure(desk, 'journalBytes', (bytes) => bytes > 0);
    await desk.setViewportSize({ width: 360, height: 780 });
    await expect.poll(() => desk.evaluate<number>(OVERFLOW), PATIENCE).toBeLessThanOrEqual(0);
    await untilFigure(desk, 'offered', (count) => count > 10);
    await gateway?.end('SIGKILL');
    await load.stop();
    await page?.context().close();

    gateway = await GatewayProcess.spawn(environment);
    await gateway.url();
    desk = await look(url);
    const recovered = desk.locator('.term', { hasText: 'recovered' }).locator('b');
    // Before the first figures it is neither 0 nor a number.
    await expect.poll(() => recovered.textContent(), PATIENCE).toMatch(/^[1-9]/);
    for (const { total, sum, verdict } of await sumsOf(desk)) {
      expect([sum, verdict]).toEqual([total, '✓ adds up']);
    }
    const facts = desk.locator('#facts');
    const told = /Recovered from earlier runs[1-9][\d,]* entries, [01] torn files/;
    await expect.poll(() => facts.textContent(), PATIENCE).toMatch(told);
    expect(desk.list).toEqual([]);
  });

  it('opens by the link that the log shows, and keeps no secret in the address', async () => {
    const { url, environment } = await start(inject('databaseUrl'), { LEDGER_DASHBOARD_TOKEN: '' });
    const link = /http:\/\/localhost:\d+\/\?ledger-token=[\w-]+/.exec(gateway!.output)?.[0];
    const desk = await browser.open(link!);
    page = desk;
    await desk.getByText('live', { exact: true }).waitFor();
    const origin = url.replace('127.0.0.1', 'localhost');
    expect(desk.url()).toBe(`${origin}/`);
    await desk.reload();
    await desk.getByText('live', { exact: true }).waitFor();
    expect(await desk.evaluate('document.cookie')).toBe('');
    expect(desk.list).toEqual([]);

    // Another start has another token: the page says so instead of trying for ever.
    await gateway?.end('SIGTERM');
    gateway = await GatewayProcess.spawn(environment);
    await gateway.url();
    await desk.getByText('The application refuses this page.', { exact: true }).waitFor();
    const again = /\?ledger-token=[\w-]+/.exec(gateway.output)?.[0];
    await desk.goto(`${origin}/${again}`);
    await desk.getByText('live', { exact: true }).waitFor();
  });

  it('can be used by keyboard, and read without seeing', async () => {
    const { url } = await start(inject('databaseUrl'));
    load = new ChatLoad(url, 1);
    const desk = await look(url);
    await untilFigure(desk, 'inRate', (rate) => rate > 0);
    await desk.keyboard.press('Tab');
    await desk.keyboard.press('Enter');
    await desk.locator('#main:focus').waitFor();
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
    await expect.poll(() => table.getByRole('row').count(), PATIENCE).toBeGreaterThan(1);
    const pause = desk.getByRole('button', { name: 'Pause' });
    await pause.focus();
    await desk.keyboard.press('Space');
    expect(await pause.getAttribute('aria-pressed')).toBe('true');
    const offered = desk.locator('[data-text="offered"]');
    const paused = await offered.textContent();
    await desk.evaluate(framesLater(2));
    expect(await offered.textContent()).toBe(paused);
    await desk.keyboard.press('Space');
    await expect.poll(() => offered.textContent(), PATIENCE).not.toBe(paused);
    for (const role of ['banner', 'main', 'contentinfo', 'status'] as const) {
      expect(await desk.getByRole(role).count()).toBe(1);
    }
    await expect
      .poll(() => desk.getByRole('status').textContent(), PATIENCE)
      .toBe('The ledger is running.');
    expect(desk.list).toEqual([]);
  });

  it('does not flicker: from second to second nothing moves or is created again', async () => {
    const { url } = await start(inject('databaseUrl'));
    load = new ChatLoad(url, 1);
    const desk = await look(url);
    await untilFigure(desk, 'inRate', (rate) => rate > 0);
    await desk.evaluate(framesLater(2));
    const { same, moved, shift } = await movesOfCalmPage(desk);
    expect({ same, moved }).toEqual({ same: true, moved: 0 });
    // A figure that gets a digit more moves its unit by some pixels, and that is all that moves.
    expect(shift).toBeLessThan(0.01);
  });

  it('tells a full channel, a database that is away, and a drain, and lives through a restart', async () => {
    const port = await findFreePort();
    let proxy: TcpProxy = await startTcpProxy(inject('databaseUrl'), port);
    const { url, environment } = await start(proxy.url, {
      LEDGER_ASYNC_BUFFER_SIZE: '400',
      // The gateway has a journal, and with one a channel reaches to the disk.
      LEDGER_ASYNC_OVERFLOW: 'drop',
      LEDGER_ASYNC_BATCH_SIZE: '50',
      LEDGER_ASYNC_FLUSH_MS: '200',
      LEDGER_ASYNC_SHUTDOWN_TIMEOUT_MS: '60000',
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
    await desk.locator('#lost-tile[data-level="down"]').waitFor();
    const advice = desk.locator('#advice');
    await advice.getByText('bufferSize', { exact: false }).first().waitFor();
    await picture(desk, 'full');
    await admin.query('COMMIT');
    await untilState(desk, 'running');

    // Unreachable: there is no listener.
    await proxy.close();
    await untilState(desk, 'database away');
    await desk
      .getByText(/Entries are kept|No room is left/)
      .first()
      .waitFor();
    await untilFigure(desk, 'retries', (count) => count > 0);
    await settle(desk, 4000);
    await picture(desk, 'away');
    for (const { total, sum } of await sumsOf(desk)) expect(sum).toBe(total);

    // Draining: the process stops, and waits for the database.
    await desk.getByText('5 min', { exact: true }).click();
    const slider = desk.getByRole('slider', { name: 'Retries and drops over time' });
    const first = await pointAt(desk, slider, 'Home');
    expect(first.time).not.toBe('');
    const ending = gateway?.end('SIGTERM');
    await untilState(desk, 'draining');
    await settle(desk, 2500);
    await picture(desk, 'draining');
    await load.stop();
    proxy = await startTcpProxy(inject('databaseUrl'), port);
    await ending;
    await desk.getByText('reconnecting', { exact: true }).waitFor();
    await desk.getByText('No connection.').waitFor();
    const run = await desk.locator('[data-text="run"]').textContent();
    const last = await pointAt(desk, slider, 'End');

    // The same address again: the page continues by itself, with its history.
    gateway = await GatewayProcess.spawn(environment);
    await gateway.url();
    await desk.getByText('live', { exact: true }).waitFor();
    await untilState(desk, 'running');
    expect(await desk.locator('[data-text="run"]').textContent()).not.toBe(run);
    expect(await pointAt(desk, slider, 'Home')).toEqual(first);
    await expect
      .poll(async () => (await pointAt(desk, slider, 'End')).time, PATIENCE)
      .not.toBe(last.time);
    expect(desk.list.filter((each) => !GONE.test(each))).toEqual([]);
    await proxy.close();
  });

  it('shows what comes from outside as text, and leaves the reader no way in', async () => {
    const { url } = await start(inject('databaseUrl'));
    const evil = '<img src=x onerror="document.title=1">';
    page = await browser.open(`${url}/?${KEY}`);
    // The page is opened again below, with other events.
    await page.route('**/ledger-events*', (route) => {
      const settings = { batchSize: { value: evil, source: evil } };
      const finding = { rule: evil, constraint: evil, severity: evil, summary: evil, remedy: evil };
      return fetch(`${url}/ledger-events?${KEY}`).then(async (response) => {
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
