import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { PATIENCE_MS } from './dashboard-page.js';

const IMAGES = fileURLToPath(new URL('../../docs/images', import.meta.url));
/** Debian's own (`apt-get install chromium`), or what other systems have instead. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
/** As root there is no sandbox; without the others it calls for hosts that are not there. */
const SWITCHES = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The rest of the code that runs in the page is text too: it has the types of a browser. */
const TELL_VIOLATIONS = `document.addEventListener('securitypolicyviolation', (event) =>
  console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI));`;

/** Whether browser tests can run here. */
export const hasChromium = CHROMIUM !== undefined;

/** What the page did that it must not: errors on its console, and breaches of its policy. */
export interface Faults {
  readonly list: string[];
}

/** A real browser on the dashboard. */
export class DashboardBrowser {
  private constructor(private readonly browser: Browser) {}

  static async launch(): Promise<DashboardBrowser> {
    return new DashboardBrowser(
      await chromium.launch({ executablePath: CHROMIUM, args: SWITCHES }),
    );
  }

  /** Opens an address in a separate window, and records every fault and every foreign request. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<Page & Faults> {
    const context = await this.browser.newContext({
      viewport: { width: 1360, height: 860 },
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const list: string[] = [];
    page.on('pageerror', (error) => list.push(`error: ${error.message}`));
    page.on('console', (line) => {
      if (['error', 'warning'].includes(line.type())) list.push(`console: ${line.text()}`);
    });
    page.on('request', (request) => {
      if (!/^data:/.test(request.url()) && new URL(request.url()).origin !== new URL(url).origin) {
        list.push(`foreign: ${request.url()}`);
      }
    });
    await page.addInitScript({ content: TELL_VIOLATIONS });
    await page.goto(url);
    return Object.assign(page, { list });
  }

  close(): Promise<void> {
    return this.browser.close();
  }
}

/** Keeps a picture for the documentation if LEDGER_SCREENSHOTS is set; else does nothing. */
export async function picture(page: Page, name: string, isWhole = false): Promise<void> {
  if (!process.env['LEDGER_SCREENSHOTS']) return;
  await mkdir(IMAGES, { recursive: true });
  await page.screenshot({ path: join(IMAGES, `dashboard-${name}.png`), fullPage: isWhole });
}
