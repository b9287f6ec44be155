import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultLedger, defineLedger } from '../define-ledger.js';
import { loadDefinition } from './load-definition.js';

/** What `defineLedger` of some copy of the package returns, as source. */
const USAGE = `{ name: 'usage', schema: undefined, table: 'calls', ids: 'text',
  columns: { model: 'text' }, rollup: [], immutable: false, shared: false, entity: {}, migrations: [class {}] }`;
const AUDIT = USAGE.replace("'usage'", "'audit'");

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledger-load-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(source: string, ending = 'mjs'): Promise<string> {
  const path = join(folder, `${++files}.${ending}`);
  await writeFile(path, source);
  return path;
}

describe('the definition of a command', () => {
  it('is the default ledger where none is given', async () => {
    expect(await loadDefinition({})).toBe(defaultLedger);
    expect(await loadDefinition({ ledger: 'default' })).toBe(defaultLedger);
    await expect(loadDefinition({ ledger: 'usage' })).rejects.toThrow('needs -d <module>');
  });

  it.each([
    ['a named export', 'mjs', `export const usage = ${USAGE};`],
    ['the default export', 'mjs', `export default ${USAGE};`],
    ['both at once', 'mjs', `export const usage = ${USAGE}; export default usage;`],
    ['among others', 'mjs', `export const a = 1, b = null, c = {}; export const u = ${USAGE};`],
    ['CommonJS exports', 'cjs', `exports.usage = ${USAGE};`],
    ['CommonJS exports that are not seen', 'cjs', `Object.assign(exports, { usage: ${USAGE} });`],
    ['module.exports itself', 'cjs', `module.exports = ${USAGE};`],
    ['a default export that was compiled', 'cjs', `exports.default = ${USAGE};`],
  ])('is taken from the module: %s', async (_, ending, source) => {
    const found = await loadDefinition({ definition: await file(source, ending) });
    const own = defineLedger({
      ...{ name: 'usage', table: 'calls', ids: 'text', columns: { model: 'text' }, rollup: true },
    });
    // Made by this copy of the package, whichever copy the module has.
    expect(found.migrations.map((Migration) => new Migration().name)).toEqual(
      own.migrations.map((Migration) => new Migration().name),
    );
    expect({ ...found, entity: null, migrations: null }).toEqual({
      ...{ ...own, entity: null, migrations: null },
    });
  });

  it('of several is chosen by the name of the ledger, or of the export', async () => {
    const two = await file(`export const usage = ${USAGE}, trail = ${AUDIT};`);
    const same = await file(`export const a = ${USAGE}, b = { ...a, table: 'b' };`);
    await expect(loadDefinition({ definition: two })).rejects.toThrow(
      `${two} exports several ledgers: usage, audit (export trail); choose one with --ledger <name>`,
    );
    for (const ledger of ['audit', 'trail']) {
      expect((await loadDefinition({ definition: two, ledger })).name).toBe('audit');
    }
    expect((await loadDefinition({ definition: same, ledger: 'b' })).table).toBe('b');
    await expect(loadDefinition({ definition: same, ledger: 'usage' })).rejects.toThrow(
      'exports several ledgers: usage (export a), usage (export b)',
    );
    await expect(loadDefinition({ definition: two, ledger: 'other' })).rejects.toThrow(
      'exports no ledger other; it exports usage, audit (export trail)',
    );
  });

  it.each([
    [
      'exports none',
      'export const usage = { name: "usage" };',
      /exports no ledger definition: it /,
    ],
    [
      'is newer',
      `export const usage = { ...${USAGE}, encoding: 'cbor' };`,
      /has encoding, which this ver/,
    ],
    ['throws', 'throw new Error("no such thing\\n  at line 1");', /loaded: no such thing$/],
    ['does not parse', 'export const = 1;', /can't be loaded: /],
  ])('is refused with the reason where the module %s', async (_, source, reason) => {
    const definition = await file(source);
    await expect(loadDefinition({ definition })).rejects.toThrow(reason);
    await expect(loadDefinition({ definition })).rejects.toThrow(definition);
  });

  it.each([
    ['below src', 'a.js', 'src/a.js'],
    ['above src', 'src/b.js', 'b.js'],
  ])('is looked for nearby, %s, where there is no such file', async (_, given, there) => {
    await mkdir(join(folder, 'src'), { recursive: true });
    await writeFile(join(folder, there), '');
    const found = relative(process.cwd(), join(folder, there));
    await expect(loadDefinition({ definition: join(folder, given) })).rejects.toThrow(
      `Did you mean ${found}?`,
    );
  });

  it('needs a file that is there', async () => {
    for (const definition of [join(folder, 'none.js'), folder]) {
      await expect(loadDefinition({ definition })).rejects.toThrow(
        `there is no file ${definition}`,
      );
    }
  });
});
