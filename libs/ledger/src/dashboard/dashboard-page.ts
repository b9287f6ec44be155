import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** From `src/dashboard` as from `dist/dashboard`, where the build puts the page. */
const ASSETS = new URL('../../dist/dashboard/assets/', import.meta.url);

/** The page as it is sent. @internal */
export interface DashboardPage {
  readonly html: string;
  /** Allows what is in the page, by hash, and connections to where it came from; nothing else. */
  readonly contentSecurityPolicy: string;
  /** Changes with the page. */
  readonly build: string;
}

let loaded: DashboardPage | undefined;

/**
 * Reads the page, once.
 *
 * @throws Error if the library was built without it
 * @internal
 */
export function dashboardPage(): DashboardPage {
  loaded ??= composePage(readAsset('page.html'), readAsset('page.css'), readAsset('page.js'));
  return loaded;
}

function composePage(frame: string, style: string, script: string): DashboardPage {
  const html = frame
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script type="module"></script>', () => `<script type="module">${script}</script>`);
  const contentSecurityPolicy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  return { html, contentSecurityPolicy, build: hashOf(html) };
}

function readAsset(name: string): string {
  try {
    return readFileSync(new URL(name, ASSETS), 'utf8');
  } catch (error) {
    throw new Error(`the dashboard's ${name} is missing: build the library`, { cause: error });
  }
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
