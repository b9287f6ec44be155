import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { completeDefinition, defaultLedger, type LedgerDefinition } from '../define-ledger.js';
import { isLedgerTable } from '../entry/is-ledger-table.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { CommandError } from './command.error.js';

/** The ledger of a command. @internal */
export interface DefinitionOptions {
  /** Path of the module that exports the definition; undefined for the default ledger. */
  readonly definition?: string;
  /** Selects one of several definitions by the ledger's name or the export's name. */
  readonly ledger?: string;
}

const TYPESCRIPT = /\.[cm]?ts$/;
/** The definition's fields in this version; `satisfies` keeps the list complete. */
const FIELDS = Object.keys({
  name: true,
  schema: true,
  table: true,
  ids: true,
  columns: true,
  partition: true,
  rollup: true,
  immutable: true,
  shared: true,
  uuids: true,
  indexes: true,
  entity: true,
  migrations: true,
} satisfies Record<keyof LedgerDefinition, true>);

/**
 * Loads a command's definition: the module's export, or the default ledger's. Another copy of the
 * package may have created it; the code that runs is always this copy's.
 *
 * @throws CommandError if the module can't be loaded, or does not export exactly one matching
 * definition
 * @internal
 */
export async function loadDefinition(options: DefinitionOptions): Promise<LedgerDefinition> {
  const { definition: path, ledger } = options;
  if (path !== undefined) return adopt(path, choose(path, definitionsIn(await load(path)), ledger));
  if (ledger === undefined || ledger === defaultLedger.name) return defaultLedger;
  throw new CommandError(`--ledger ${ledger} needs -d <module>, the module that exports it`);
}

/**
 * A compiler writes `src/usage.ledger.ts` to dist, or to dist/src if there are files outside `src`.
 */
function findNearby(file: string): string | undefined {
  const [folder, name] = [dirname(file), basename(file)];
  const places = [join(folder, 'src', name), join(dirname(folder), name)];
  const found = places.find((place) => statSync(place, { throwIfNoEntry: false })?.isFile());
  return found === undefined ? undefined : relative(process.cwd(), found);
}

async function load(path: string): Promise<object> {
  const file = resolve(path);
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) {
    const found = findNearby(file);
    const hint = found === undefined ? '' : `. Did you mean ${found}?`;
    throw new CommandError(
      `there is no file ${path}; -d needs a module that exports a definition${hint}`,
    );
  }
  try {
    return await importOrRequire(file);
  } catch (error) {
    const hint = TYPESCRIPT.test(file)
      ? ". Give the compiled file, such as dist/usage.ledger.js, or set NODE_OPTIONS='--import tsx'"
      : '';
    throw new CommandError(`${path} can't be loaded: ${reasonOf(error)}${hint}`);
  }
}

/** Also uses a loader that is registered for `require` only, as with `-r ts-node/register`. */
async function importOrRequire(file: string): Promise<object> {
  try {
    return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as object;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const require = createRequire(file);
    const canRequire = Object.keys(require.extensions).some((each) => TYPESCRIPT.test(each));
    if (code !== 'ERR_UNKNOWN_FILE_EXTENSION' || !canRequire) throw error;
    return require(file) as object;
  }
}

/** The first line is the message; stacks and sources follow. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0]!.trim();
}

/** A definition and the first name of its export. */
interface Found {
  readonly exportName: string;
  readonly table: LedgerTable;
}

/** CommonJS exports are properties of `default`, whether or not Node finds their names itself. */
function definitionsIn(module: object): Found[] {
  const exported = Object.entries(module);
  const nested = exported
    .filter(([, value]) => typeof value === 'object' && value !== null && !isLedgerTable(value))
    .filter(([name]) => name === 'default')
    .flatMap(([, value]) => Object.entries(value as object));
  // `export default usage` besides `export const usage` is one definition, shown by its name.
  const named = [...exported, ...nested].sort(([a], [b]) => rank(a) - rank(b));
  const found = new Map<LedgerTable, string>();
  for (const [name, value] of named) {
    if (isLedgerTable(value) && !found.has(value)) found.set(value, name);
  }
  return [...found].map(([table, exportName]) => ({ exportName, table }));
}

function rank(exportName: string): number {
  return ['default', 'module.exports'].includes(exportName) ? 1 : 0;
}

function choose(path: string, found: readonly Found[], ledger: string | undefined): LedgerTable {
  if (found.length === 0) {
    throw new CommandError(
      `${path} exports no ledger definition: it must export what defineLedger() returns, as in ` +
        '`export const usage = defineLedger({ … })`',
    );
  }
  const byName = found.filter(({ table }) => table.name === ledger);
  const byExport = found.filter(({ exportName }) => exportName === ledger);
  const wanted = ledger === undefined ? found : byName.length > 0 ? byName : byExport;
  if (wanted.length === 1) return wanted[0]!.table;
  const list = found.map(({ exportName, table }) =>
    exportName === table.name ? exportName : `${table.name} (export ${exportName})`,
  );
  if (wanted.length === 0) {
    throw new CommandError(`${path} exports no ledger ${ledger}; it exports ${list.join(', ')}`);
  }
  throw new CommandError(
    `${path} exports several ledgers: ${list.join(', ')}; choose one with --ledger <name>`,
  );
}

/** The same definition with this copy's entity and migrations. */
function adopt(path: string, table: LedgerTable): LedgerDefinition {
  const unknown = Object.keys(table).filter((field) => !FIELDS.includes(field));
  if (unknown.length === 0) return completeDefinition(table);
  throw new CommandError(
    `the definition in ${path} has ${unknown.join(', ')}, which this version of nestjs-ledger does ` +
      'not know: run the command of the version that the application uses',
  );
}
