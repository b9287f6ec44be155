/**
 * Bundles the dashboard's page into the library: `page.html`, `page.css` and `page.js` in
 * `libs/ledger/dist/dashboard-assets`, which the module sends as one page. Runs after the library's
 * own builds.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'vite';

const LIBRARY = join(import.meta.dirname, '..', 'libs', 'ledger');
const SOURCE = join(LIBRARY, 'dashboard');
const ASSETS = join(LIBRARY, 'dist', 'dashboard-assets');
const uplot = dirname(createRequire(join(LIBRARY, 'package.json')).resolve('uplot/package.json'));

const output = await build({
  root: SOURCE,
  configFile: false,
  logLevel: 'warn',
  build: {
    write: false,
    target: 'es2023',
    modulePreload: false,
    rolldownOptions: { input: join(SOURCE, 'main.ts') },
  },
});
const [bundle] = [output].flat();
const script = bundle.output[0].code;
// The script stands inside the page.
if (/<\/script|<!--/i.test(script)) throw new Error('the script would end its own element');

mkdirSync(ASSETS, { recursive: true });
const style = ['page.css', join(uplot, 'dist', 'uPlot.min.css')]
  .map((name) => readFileSync(name.startsWith('/') ? name : join(SOURCE, name), 'utf8'))
  .reverse()
  .join('\n');
writeFileSync(join(ASSETS, 'page.css'), style.replaceAll(/\n\s*/g, '\n'));
writeFileSync(join(ASSETS, 'page.js'), `/*! charts: uPlot, see uPlot.LICENSE */\n${script}`);
copyFileSync(join(uplot, 'LICENSE'), join(ASSETS, 'uPlot.LICENSE'));
copyFileSync(join(SOURCE, 'page.html'), join(ASSETS, 'page.html'));
