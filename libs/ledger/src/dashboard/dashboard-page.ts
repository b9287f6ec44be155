import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Location of the built page, relative to `dist/esm/dashboard`, `dist/cjs/dashboard` and the
 * source.
 */
const FOLDERS = ['../../dashboard-assets/', '../../dist/dashboard-assets/'];

/** The page as sent. @internal */
export interface DashboardPage {
  readonly html: string;
  /** Allows only the content of the page, by hash, and connections to its origin. */
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
  const paths = FOLDERS.map((folder) => new URL(folder + name, import.meta.url));
  const found = paths.find((path) => existsSync(path));
  if (!found) throw new Error(`the dashboard's ${name} is missing: build the library`);
  return readFileSync(found, 'utf8');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
