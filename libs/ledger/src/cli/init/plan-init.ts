import { CommandError } from '../command.error.js';
import type { AppFiles, FileChange } from './app-files.interface.js';
import { editAppModule, type Compiler, type ModuleImport } from './edit-app-module.js';
import { editMain } from './edit-main.js';
import { importLine, readSourceStyle, type SourceStyle } from './source-style.js';

/** Packages that an application must have; npm brings them along as peers. @internal */
export const NEEDED_PACKAGES = [
  'nestjs-ledger',
  '@nestjs/config',
  '@nestjs/terminus',
  'typeorm',
  'pg',
];

const ENV_SAMPLES = ['.env.example', '.env.sample', '.env.dist'];
const ENV_LINES = [
  '# In .env it is read by ConfigModule.forRoot() in a module, or by nest start --env-file .env',
  '# nestjs-ledger: its own connection; without it, the default DataSource of TypeOrmModule is used.',
  'LEDGER_DATABASE_URL=postgres://postgres@localhost:5432/postgres',
  '# Figures for a rate of requests: low, medium, high, very-high, ultra.',
  'LEDGER_ASYNC_PROFILE=low',
];

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
  const manifest = parse(files.read('package.json')) as Manifest;
  const isEsm = manifest.type === 'module';
  const module = planModule(compiler, files, {
    path: places.module ?? `${root}/app.module.ts`,
    isEsm,
  });
  const main = planMain(compiler, files, `${root}/main.ts`);
  const missing = NEEDED_PACKAGES.filter((name) => manifest.dependencies?.[name] === undefined);
  return {
    changes: [...module, ...main.changes, ...planEnvironment(files)].filter(
      ({ before, after }) => before !== after,
    ),
    notes: [
      ...main.notes,
      ...(missing.length > 0 ? [`install what is missing: npm install ${missing.join(' ')}`] : []),
    ],
  };
}

interface Manifest {
  readonly type?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
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
  const source = compiler.createSourceFile(path, before, compiler.ScriptTarget.Latest, true);
  const style = readSourceStyle(source, isEsm);
  const config = `${path.slice(0, path.lastIndexOf('/') + 1)}ledger.config.ts`;
  const found = files.read(config);
  try {
    if (hasSyntaxErrors(source)) throw new CommandError('it does not parse');
    if (found !== undefined && !/\bexport const ledgerConfig\b/.test(found)) {
      throw new CommandError(`${config} is there, and exports no ledgerConfig`);
    }
    const after = editAppModule(compiler, source, style, additionsTo(style));
    return [
      { path, before, after },
      { path: config, before: found, after: found ?? configText(style) },
    ];
  } catch (error) {
    throw error instanceof CommandError ? refusal(path, error.message) : error;
  }
}

function additionsTo({ extension }: SourceStyle): ModuleImport[] {
  return [
    {
      name: 'LedgerModule',
      from: 'nestjs-ledger',
      element: 'LedgerModule.forRootAsync(ledgerConfig.asProvider())',
    },
    { name: 'ledgerConfig', from: `./ledger.config${extension}` },
  ];
}

function configText(style: SourceStyle): string {
  const { quote, semicolon, lineEnd } = style;
  return [
    importLine(style, ['createLedgerConfig'], 'nestjs-ledger'),
    '',
    // Two lines, since one would have 81 columns, which the linter of a new application refuses.
    `const defaults = { profile: ${quote}low${quote} } as const${semicolon}`,
    `export const ledgerConfig = createLedgerConfig({ defaults })${semicolon}`,
    '',
  ].join(lineEnd);
}

/** Syntax errors of one file; the property is not in TypeScript's public types. */
function hasSyntaxErrors(source: object): boolean {
  const { parseDiagnostics } = source as { parseDiagnostics?: readonly unknown[] };
  return (parseDiagnostics?.length ?? 0) > 0;
}

function planMain(compiler: Compiler, files: AppFiles, path: string): InitPlan {
  const note = `call app.enableShutdownHooks() where the application is made: a deploy then loses nothing`;
  const before = files.read(path);
  if (before === undefined) return { changes: [], notes: [note] };
  const source = compiler.createSourceFile(path, before, compiler.ScriptTarget.Latest, true);
  const after = hasSyntaxErrors(source) ? undefined : editMain(compiler, source);
  if (after === undefined) return { changes: [], notes: [note] };
  return { changes: [{ path, before, after }], notes: [] };
}

function planEnvironment(files: AppFiles): FileChange[] {
  const path = ENV_SAMPLES.find((name) => files.read(name) !== undefined) ?? '.env.example';
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
      '  imports: [LedgerModule.forRootAsync(ledgerConfig.asProvider())]',
      'and call app.enableShutdownHooks() in main.ts.',
    ].join('\n'),
  );
}
