import { CommandError } from '../command.error.js';
import type { AppFiles, FileChange } from './app-files.interface.js';
import { editAppModule, type Compiler, type ModuleImport } from './edit-app-module.js';
import { editMain } from './edit-main.js';
import { planApplicationTests } from './plan-application-tests.js';
import {
  missingPeers,
  packageManagerOf,
  parseManifest,
  type NeededPackage,
} from './plan-packages.js';
import { importLine, readSourceStyle, type SourceStyle } from './source-style.js';

const ENV_SAMPLES = ['.env.example', '.env.sample', '.env.dist'];
const ENV_LINES = [
  '# Copy it to .env, which ConfigModule.forRoot() and the commands of nestjs-ledger read.',
  '# nestjs-ledger: its own connection; without it, the default DataSource of TypeOrmModule, or DATABASE_URL.',
  'LEDGER_DATABASE_URL=postgres://postgres@localhost:5432/postgres',
  '# The ledger finds its own figures; or those for a rate of requests: low, medium, high, very-high, ultra.',
  'LEDGER_ASYNC_PROFILE=auto',
];

const LEDGER_PACKAGE: NeededPackage = { name: 'nestjs-ledger', range: '^0.1.0' };

/** Paths of an application's wiring. @internal */
export interface InitPlaces {
  /** Default: from nest-cli.json, else `src`. */
  readonly sourceRoot?: string | undefined;
  /** The module that imports the ledger; default: `app.module.ts` in this folder. */
  readonly module?: string | undefined;
}

/** The plan of `init`. @internal */
export interface InitPlan {
  /** Empty if nothing has to change. */
  readonly changes: readonly FileChange[];
  /** Remaining manual steps, in sentences. */
  readonly notes: readonly string[];
  /** Packages missing from the manifest. */
  readonly missing: readonly NeededPackage[];
  readonly manager: ReturnType<typeof packageManagerOf>;
  /** The file with a sample of the environment. */
  readonly sample: string;
  /** Whether there is a `.env` already. */
  readonly hasEnvironment: boolean;
  /** Whether the application has a DataSource that the ledger could use. */
  readonly hasTypeOrm: boolean;
}

/**
 * Plans the changes that add the ledger to an application: the module line, a file with its
 * configuration, shutdown hooks, a sample of its environment. Once they are written, a second plan
 * is empty.
 *
 * @throws CommandError with instructions, if an edit could break the module
 * @internal
 */
export function planInit(compiler: Compiler, files: AppFiles, places: InitPlaces = {}): InitPlan {
  const root = places.sourceRoot ?? sourceRootOf(files);
  const manifest = parseManifest(files.read('package.json'));
  const isEsm = manifest.type === 'module';
  const module = planModule(compiler, files, {
    path: places.module ?? `${root}/app.module.ts`,
    isEsm,
    hasConfigModule: hasConfigModule(files, root),
  });
  const main = planMain(compiler, files, `${root}/main.ts`);
  const tests = planTests(files, root, module);
  const changes = [...module, ...main.changes, ...tests.changes, ...planEnvironment(files)];
  return {
    changes: changes.filter(({ before, after }) => before !== after),
    notes: [...main.notes, ...tests.notes, ...notIgnored(files)],
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

/** The other tool reports its broken file. */
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
  /** Whether another module loads the environment. */
  readonly hasConfigModule: boolean;
}

function planModule(
  compiler: Compiler,
  files: AppFiles,
  { path, isEsm, hasConfigModule }: ModulePlace,
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
    const after = editAppModule(
      compiler,
      source,
      style,
      additionsTo(style, hasConfigModule || /\bConfigModule\b/.test(before)),
    );
    return [
      { path, before, after },
      { path: config, before: found, after: found ?? configText(style) },
    ];
  } catch (error) {
    throw error instanceof CommandError ? refusal(path, error.message) : error;
  }
}

/** Whether a module of the application imports `ConfigModule.forRoot()`, which loads `.env`. */
function hasConfigModule(files: AppFiles, root: string): boolean {
  const sources = files.list(root).filter((path) => /\.ts$/.test(path) && !/\bspec\b/.test(path));
  return sources.some((path) => /\bConfigModule\s*\.\s*forRoot\b/.test(files.read(path) ?? ''));
}

function additionsTo({ extension }: SourceStyle, hasEnvironment: boolean): ModuleImport[] {
  const config = {
    name: 'ConfigModule',
    from: '@nestjs/config',
    element: 'ConfigModule.forRoot()',
  };
  return [
    // Loads `.env` before the ledger reads its settings.
    ...(hasEnvironment ? [] : [config]),
    { name: 'ledgerModule', from: `./ledger.config${extension}`, element: 'ledgerModule' },
  ];
}

/** A constant, so that tests can override the module. No line exceeds 80 columns. */
function configText(style: SourceStyle): string {
  const { quote, semicolon, lineEnd } = style;
  const options = `{ defaults: { profile: ${quote}auto${quote} } }`;
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

/** @param module planned changes of the module and its configuration; empty if there are none */
function planTests(files: AppFiles, root: string, module: readonly FileChange[]): PlannedPart {
  if (!module.some(({ path }) => path === `${root}/ledger.config.ts`)) return NOTHING;
  const { changes, unclear } = planApplicationTests(files, root);
  if (unclear.length === 0) return { changes, notes: [] };
  const [start, build] = unclear.length === 1 ? ['starts', 'it'] : ['start', 'them'];
  const note =
    `${unclear.join(', ')} ${start} the application, which now needs a database: build ${build} with ` +
    '.overrideModule(ledgerModule).useModule(LedgerTestingModule.forRoot()), from nestjs-ledger/testing';
  return { changes, notes: [note] };
}

type PlannedPart = Pick<InitPlan, 'changes' | 'notes'>;
const NOTHING: PlannedPart = { changes: [], notes: [] };

/** The database's password belongs in `.env`, and not into a repository. */
function notIgnored(files: AppFiles): string[] {
  const ignored = files.read('.gitignore');
  if (ignored === undefined || /^[*/]*\.env(\*|\.\*)?\s*$/m.test(ignored)) return [];
  return ['add .env to .gitignore: it holds the password of the database'];
}

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
      `${path} is unchanged: ${reason}. Add these lines by hand:`,
      "  import { ledgerConfig, LedgerModule } from 'nestjs-ledger';",
      '  export const ledgerModule = LedgerModule.forRootAsync(ledgerConfig.asProvider());',
      '  imports: [ConfigModule.forRoot(), ledgerModule]',
      'and call app.enableShutdownHooks() in main.ts.',
    ].join('\n'),
  );
}
