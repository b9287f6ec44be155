import { CommandError } from '../command.error.js';
import type { AppFiles, FileChange } from './app-files.interface.js';
import { editAppModule, type Compiler, type ModuleImport } from './edit-app-module.js';
import { editMain } from './edit-main.js';
import { editE2eSpec } from './edit-end-to-end-test.js';
import {
  missingPeers,
  packageManagerOf,
  parseManifest,
  type NeededPackage,
} from './plan-packages.js';
import { importLine, readSourceStyle, styleOf, type SourceStyle } from './source-style.js';

const ENV_SAMPLES = ['.env.example', '.env.sample', '.env.dist'];
const ENV_LINES = [
  '# Copy it to .env, which ConfigModule.forRoot() and the commands of nestjs-ledger read.',
  '# nestjs-ledger: its own connection; without it, the default DataSource of TypeOrmModule, or DATABASE_URL.',
  'LEDGER_DATABASE_URL=postgres://postgres@localhost:5432/postgres',
  '# The ledger finds its own figures; or those for a rate of requests: low, medium, high, very-high, ultra.',
  'LEDGER_ASYNC_PROFILE=auto',
];

const LEDGER_PACKAGE: NeededPackage = { name: 'nestjs-ledger', range: '^0.1.0' };
/** Where the Nest CLI puts the test of a new application. */
const E2E_SPEC = 'test/app.e2e-spec.ts';

/** Where an application's wiring is. @internal */
export interface InitPlaces {
  /** Default: what nest-cli.json says, else `src`. */
  readonly sourceRoot?: string | undefined;
  /** The module that imports the ledger; default: `app.module.ts` there. */
  readonly module?: string | undefined;
}

/** What `init` would do. @internal */
export interface InitPlan {
  /** Empty if all is there already. */
  readonly changes: readonly FileChange[];
  /** What is left to a person, in sentences. */
  readonly notes: readonly string[];
  /** Packages that the manifest does not name. */
  readonly missing: readonly NeededPackage[];
  readonly manager: ReturnType<typeof packageManagerOf>;
  /** The file with a sample of the environment. */
  readonly sample: string;
  /** Whether there is a `.env` already, which holds what the application needs. */
  readonly hasEnvironment: boolean;
  /** Whether the application has a DataSource that the ledger could use. */
  readonly hasTypeOrm: boolean;
}

/**
 * Plans how the ledger comes into an application: the module line, a file with its configuration,
 * shutdown hooks, a sample of its environment. After the changes were written, a second plan is
 * empty.
 *
 * @throws CommandError with instructions, if the module has a shape that could be broken
 * @internal
 */
export function planInit(compiler: Compiler, files: AppFiles, places: InitPlaces = {}): InitPlan {
  const root = places.sourceRoot ?? sourceRootOf(files);
  const manifest = parseManifest(files.read('package.json'));
  const isEsm = manifest.type === 'module';
  const module = planModule(compiler, files, {
    path: places.module ?? `${root}/app.module.ts`,
    isEsm,
  });
  const main = planMain(compiler, files, `${root}/main.ts`);
  const e2e = planE2eSpec(files, root, module);
  const changes = [...module, ...main.changes, ...e2e.changes, ...planEnvironment(files)];
  return {
    changes: changes.filter(({ before, after }) => before !== after),
    notes: [...main.notes, ...e2e.notes],
    missing: [
      ...(manifest.dependencies?.['nestjs-ledger'] === undefined ? [LEDGER_PACKAGE] : []),
      ...missingPeers(manifest),
    ],
    sample: samplePath(files),
    hasEnvironment: files.read('.env') !== undefined,
    hasTypeOrm: manifest.dependencies?.['@nestjs/typeorm'] !== undefined,
    manager: packageManagerOf(manifest, (path) => files.read(path) !== undefined),
  };
}

function sourceRootOf(files: AppFiles): string {
  const { sourceRoot } = parse(files.read('nest-cli.json')) as { sourceRoot?: unknown };
  return typeof sourceRoot === 'string' ? sourceRoot : 'src';
}

/** A broken file of another tool is that tool's to tell. */
function parse(text: string | undefined): object {
  try {
    return (JSON.parse(text ?? '{}') ?? {}) as object;
  } catch {
    return {};
  }
}

interface ModulePlace {
  readonly path: string;
  readonly isEsm: boolean;
}

function planModule(
  compiler: Compiler,
  files: AppFiles,
  { path, isEsm }: ModulePlace,
): FileChange[] {
  const before = files.read(path);
  if (before === undefined) throw refusal(path, 'there is no such file; --module names another');
  if (/from\s+['"]nestjs-ledger['"]/.test(before) && /\bLedgerModule\b/.test(before)) return [];
  if (
    /from\s+['"][^'"]*\/ledger\.config(\.[jt]s)?['"]/.test(before) &&
    /\bledgerModule\b/.test(before)
  ) {
    return [];
  }
  const source = compiler.createSourceFile(path, before, compiler.ScriptTarget.Latest, true);
  const style = readSourceStyle(source, isEsm);
  const config = `${path.slice(0, path.lastIndexOf('/') + 1)}ledger.config.ts`;
  const found = files.read(config);
  try {
    if (hasSyntaxErrors(source)) throw new CommandError('it does not parse');
    if (found !== undefined && !/\bexport const ledgerModule\b/.test(found)) {
      throw new CommandError(`${config} exists, but exports no ledgerModule`);
    }
    const after = editAppModule(compiler, source, style, additionsTo(style, before));
    return [
      { path, before, after },
      { path: config, before: found, after: found ?? configText(style) },
    ];
  } catch (error) {
    throw error instanceof CommandError ? refusal(path, error.message) : error;
  }
}

/** @param module its text: one that names ConfigModule has its own way to the environment */
function additionsTo({ extension }: SourceStyle, module: string): ModuleImport[] {
  const config = {
    name: 'ConfigModule',
    from: '@nestjs/config',
    element: 'ConfigModule.forRoot()',
  };
  return [
    // What loads `.env`, before the ledger asks for its settings.
    ...(/\bConfigModule\b/.test(module) ? [] : [config]),
    { name: 'ledgerModule', from: `./ledger.config${extension}`, element: 'ledgerModule' },
  ];
}

/** A constant, so that tests can put another module in its place. No line has 80 columns. */
function configText(style: SourceStyle): string {
  const { quote, semicolon, lineEnd } = style;
  const options = `{ defaults: { profile: ${quote}low${quote} } }`;
  return [
    importLine(style, ['createLedgerConfig', 'LedgerModule'], 'nestjs-ledger'),
    '',
    `const config = createLedgerConfig(${options})${semicolon}`,
    `export const ledgerModule = LedgerModule.forRootAsync(config.asProvider())${semicolon}`,
    '',
  ].join(lineEnd);
}

/** Syntax errors of one file; the property is not in TypeScript's public types. */
function hasSyntaxErrors(source: object): boolean {
  const { parseDiagnostics } = source as { parseDiagnostics?: readonly unknown[] };
  return (parseDiagnostics?.length ?? 0) > 0;
}

function planMain(compiler: Compiler, files: AppFiles, path: string): PlannedPart {
  const note = `call app.enableShutdownHooks() where the application is made: a deploy then loses nothing`;
  const before = files.read(path);
  if (before === undefined) return { changes: [], notes: [note] };
  const source = compiler.createSourceFile(path, before, compiler.ScriptTarget.Latest, true);
  const after = hasSyntaxErrors(source) ? undefined : editMain(compiler, source);
  if (after === undefined) return { changes: [], notes: [note] };
  return { changes: [{ path, before, after }], notes: [] };
}

/** @param module what is planned for the module and its configuration; empty if that is done */
function planE2eSpec(files: AppFiles, root: string, module: readonly FileChange[]): PlannedPart {
  const before = files.read(E2E_SPEC);
  const config = module.find(({ path }) => path === `${root}/ledger.config.ts`);
  if (before === undefined || config === undefined || !/\bAppModule\b/.test(before)) return NOTHING;
  const reached = /from\s+['"]([^'"]*\/)app\.module(\.[jt]s)?['"]/.exec(before);
  const [, folder, extension = ''] = reached ?? [];
  const style = { ...styleOf(before), extension: extension as SourceStyle['extension'] };
  const after =
    folder === undefined
      ? undefined
      : editE2eSpec(before, { config: `${folder}ledger.config${extension}`, style });
  if (after !== undefined) return { changes: [{ path: E2E_SPEC, before, after }], notes: [] };
  const note =
    `${E2E_SPEC} starts the application, which now needs a database: build it with ` +
    '.overrideModule(ledgerModule).useModule(LedgerTestingModule.forRoot()), from nestjs-ledger/testing';
  return { changes: [], notes: [note] };
}

type PlannedPart = Pick<InitPlan, 'changes' | 'notes'>;
const NOTHING: PlannedPart = { changes: [], notes: [] };

function samplePath(files: AppFiles): string {
  return ENV_SAMPLES.find((name) => files.read(name) !== undefined) ?? '.env.example';
}

function planEnvironment(files: AppFiles): FileChange[] {
  const path = samplePath(files);
  const before = files.read(path);
  if (before?.includes('LEDGER_DATABASE_URL')) return [];
  const above = before ? `${before.replace(/\n*$/, '\n')}\n` : '';
  return [{ path, before, after: `${above}${ENV_LINES.join('\n')}\n` }];
}

function refusal(path: string, reason: string): CommandError {
  return new CommandError(
    [
      `${path} is left as it is: ${reason}. Add these lines by hand:`,
      "  import { ledgerConfig, LedgerModule } from 'nestjs-ledger';",
      '  export const ledgerModule = LedgerModule.forRootAsync(ledgerConfig.asProvider());',
      '  imports: [ConfigModule.forRoot(), ledgerModule]',
      'and call app.enableShutdownHooks() in main.ts.',
    ].join('\n'),
  );
}
