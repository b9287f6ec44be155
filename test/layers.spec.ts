import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CONFIG = join(ROOT, '.dependency-cruiser.cjs');
const CRUISER = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');

const ROW = 'export interface Row { readonly id: number }\n';
const importRow = (path: string): string =>
  `import type { Row } from '${path}';\nexport type Rows = Row[];\n`;
const importPackage = (name: string): string =>
  `import type * as all from '${name}';\nexport type All = typeof all;\n`;

/** Small files, each named for what it does, with the rule that it breaks; paths are below `src`. */
const FILES: readonly (readonly [path: string, text: string, rule?: string])[] = [
  ['codec/row.ts', ROW],
  ['partitions/row.ts', ROW],
  ['cli/row.ts', ROW],
  ['dashboard/row.ts', ROW],
  ['postgres/downwards.ts', importRow('../codec/row.js')],
  ['clock/upwards-by-a-type.ts', importRow('../codec/row.js'), 'layer-clock'],
  ['reading/sideways.ts', importRow('../partitions/row.js'), 'layer-reading'],
  ['rollup/to-the-commands.ts', importRow('../cli/row.js'), 'layer-rollup'],
  ['health/to-the-dashboard.ts', importRow('../dashboard/row.js'), 'layer-health'],
  ['helpers/without-a-place.ts', importRow('../codec/row.js'), 'a-layer-for-each-file'],
  ['writer/to-pg.ts', importPackage('pg'), 'pure-layers'],
  ['stats/to-typeorm.ts', importPackage('typeorm'), 'pure-layers'],
  ['channel/to-nest.ts', importPackage('@nestjs/common'), 'pure-layers'],
  ['sink/to-nest.ts', importPackage('@nestjs/common'), 'database-without-nest'],
];

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

async function violationsOf(folder: string): Promise<Violation[]> {
  await writeFile(join(folder, 'tsconfig.json'), '{ "compilerOptions": { "module": "nodenext" } }');
  for (const [path, text] of FILES) {
    const file = join(folder, 'libs/ledger/src', path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const args = [CRUISER, 'libs', '--config', CONFIG, '--output-type', 'json'];
  const run = promisify(execFile)(process.execPath, args, { cwd: folder });
  const { stdout } = await run.catch((error: unknown) => error as { stdout: string });
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}

describe('the layers of the library', () => {
  it('refuse each import that breaks a rule, and no other', async () => {
    await mkdir(join(ROOT, '.tmp'), { recursive: true });
    const folder = await mkdtemp(join(ROOT, '.tmp/layers-'));
    const violations = await violationsOf(folder).finally(() =>
      rm(folder, { recursive: true, force: true }),
    );
    const found = violations.map(({ from, rule }) => [
      from.replace('libs/ledger/src/', ''),
      rule.name,
    ]);
    const wanted = FILES.flatMap(([path, , rule]) => (rule === undefined ? [] : [[path, rule]]));
    expect(found.sort()).toEqual(wanted.sort());
  });

  it('are those that the page on the architecture shows', async () => {
    const config = createRequire(import.meta.url)(CONFIG) as { layers: readonly string[][] };
    const folders = config.layers.map((layer) => layer.filter((name) => !name.includes('.')));
    const page = await readFile(join(ROOT, 'docs/architecture.md'), 'utf8');
    const picture = /```text\n(clock\/[^]*?)```/.exec(page)?.[1] ?? '';
    const shown = picture.split('\n').map((line) => {
      const [names = ''] = line.split(/ {2,}/);
      return [...names.matchAll(/([a-z-]+)\//g)].map(([, name]) => name);
    });
    const filled = (rows: (string | undefined)[][]): unknown[] =>
      rows.filter(({ length }) => length);
    expect(filled(shown)).toEqual(filled(folders));
  });
});
