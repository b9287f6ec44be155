import { format } from 'prettier';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { CommandError } from '../command.error.js';
import { E2E, filesOf } from './fixtures/application-files.fixture.js';
import { lineDiff } from './line-diff.js';
import { planInit, type InitPlaces } from './plan-init.js';

const MAIN = `import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  await app.listen(process.env.PORT ?? 3000);
}
void bootstrap();
`;

const HEAD = `import { Module } from '@nestjs/common';\nimport { AppController } from './app.controller';\n`;

function moduleWith(options: string, head = HEAD): string {
  return `${head}\n@Module(${options})\nexport class AppModule {}\n`;
}

function appOf(module: string, more: Record<string, string> = {}): Map<string, string> {
  return new Map(
    Object.entries({
      'package.json': '{}',
      'src/app.module.ts': module,
      'src/main.ts': MAIN,
      ...more,
    }),
  );
}

/** Applies what is planned. @returns the module's new text */
function initialize(app: Map<string, string>, places?: InitPlaces): string {
  for (const { path, after } of planInit(ts, filesOf(app), places).changes) app.set(path, after);
  return app.get(places?.module ?? 'src/app.module.ts') ?? '';
}

function parses(text: string): boolean {
  const { diagnostics } = ts.transpileModule(text, {
    reportDiagnostics: true,
    compilerOptions: { experimentalDecorators: true },
  });
  return diagnostics?.length === 0;
}

describe('a module that has the usual shape', () => {
  it.each([
    ['no imports', '{\n  controllers: [AppController],\n}'],
    ['empty imports', '{\n  imports: [],\n  controllers: [AppController],\n}'],
    ['one import', '{\n  imports: [CatsModule],\n}'],
    [
      'a broken list',
      '{\n  imports: [\n    CatsModule,\n    DogsModule.forRoot({ a: [1] }),\n  ],\n}',
    ],
    [
      'a broken list without a last comma',
      '{\n  imports: [\n    CatsModule,\n    DogsModule\n  ]\n}',
    ],
    ['a comment in the list', '{ imports: [CatsModule /* both, */, DogsModule] }'],
    ['no options', '{}'],
    ['options on one line', '{ controllers: [AppController] }'],
    ['a quoted key', "{ 'imports': [CatsModule] }"],
  ])('gets the ledger once, however often it is asked for: %s', (_, options) => {
    const app = appOf(moduleWith(options));
    const text = initialize(app);
    expect(parses(text)).toBe(true);
    const list = /imports'?: \[(.*)\]/s.exec(text)?.[1] ?? '';
    expect(list).toContain('ConfigModule.forRoot()');
    expect(list).toMatch(/\bledgerModule\b/);
    for (const word of options.match(/\w+Module/g) ?? []) expect(list).toContain(word);
    expect(text.replace(/^import .*$/gm, '').match(/\bledgerModule\b/g)).toHaveLength(1);
    expect(planInit(ts, filesOf(app)).changes).toEqual([]);
  });

  it('gets lines, quotes, ends of lines and indentation as it has them', () => {
    const head = 'import { Module } from "@nestjs/common"\r\nimport { Cats } from "./cats.js"\r\n';
    const app = appOf(moduleWith('{\r\n\timports: [Cats],\r\n}', head));
    expect(initialize(app)).toBe(
      moduleWith(
        '{\r\n\timports: [Cats, ConfigModule.forRoot(), ledgerModule],\r\n}',
        head +
          'import { ConfigModule } from "@nestjs/config"\r\n' +
          'import { ledgerModule } from "./ledger.config.js"\r\n',
      ),
    );
    expect(app.get('src/ledger.config.ts')).toContain('from "nestjs-ledger"\r\n');
    expect(app.get('src/ledger.config.ts')).toContain('profile: "auto"');
  });

  it('is written as the formatter of a new application would write it', async () => {
    const app = appOf(moduleWith('{\n  imports: [],\n  controllers: [AppController],\n}'));
    initialize(app);
    for (const path of ['src/app.module.ts', 'src/ledger.config.ts', 'src/main.ts']) {
      const text = app.get(path)!;
      const options = { singleQuote: true, trailingComma: 'all', parser: 'typescript' } as const;
      expect(await format(text, options), path).toBe(text);
    }
  });

  it.each([80, 100, 120])('has lines that a formatter of %i columns leaves', async (printWidth) => {
    const app = appOf(moduleWith('{\n  imports: [],\n  controllers: [AppController],\n}'), {
      'test/app.e2e-spec.ts': E2E,
    });
    initialize(app);
    for (const path of ['src/ledger.config.ts', 'test/app.e2e-spec.ts']) {
      const text = app.get(path)!;
      const options = { singleQuote: true, trailingComma: 'all', parser: 'typescript' } as const;
      if (path.startsWith('test') && printWidth !== 80) continue;
      expect(await format(text, { ...options, printWidth }), path).toBe(text);
    }
  });

  it('adds few lines to a new application, and few in its own files', () => {
    const app = appOf(moduleWith('{\n  imports: [],\n  controllers: [AppController],\n}'));
    const added = planInit(ts, filesOf(app)).changes.map((change) => [
      change.path,
      lineDiff(change).filter((line) => /^[+](?![+])/.test(line)).length,
    ]);
    expect(Object.fromEntries(added)).toEqual({
      'src/app.module.ts': 3,
      'src/ledger.config.ts': 4,
      'src/main.ts': 1,
      '.env.example': 5,
    });
  });

  it.each([
    ["from './ledger.config'", '{}', HEAD],
    ["from './ledger.config'", '{"type":"module"}', HEAD],
    [
      "from './ledger.config.js'",
      '{"type":"module"}',
      "import { Module } from '@nestjs/common';\n",
    ],
    ["from './ledger.config.js'", '{}', HEAD.replace('.controller', '.controller.js')],
  ])('imports as it does: %s for %s', (expected, manifest, head) => {
    const app = appOf(moduleWith('{}', head), { 'package.json': manifest });
    expect(initialize(app)).toContain(expected);
  });

  it('may be another than the first of its file, and lie elsewhere', () => {
    const module = `${HEAD}@Module({})\nclass Inner {}\n@Module({ imports: [Inner] })\nexport class AppModule {}\n`;
    const app = appOf('', { 'lib/main.module.ts': module });
    expect(initialize(app, { module: 'lib/main.module.ts' })).toContain(
      'imports: [Inner, ConfigModule.forRoot(), ledgerModule]',
    );
    expect(app.has('lib/ledger.config.ts')).toBe(true);
  });
});

describe('a module of another shape', () => {
  it.each([
    ['two modules', `${HEAD}@Module({})\nclass A {}\n@Module({})\nclass B {}\n`],
    ['no module', HEAD],
    ['options from elsewhere', moduleWith('options')],
    ['spread options', moduleWith('{ ...options }')],
    ['imports from elsewhere', moduleWith('{ imports: MODULES }')],
    ['shorthand imports', moduleWith('{ imports }')],
    ['computed imports', moduleWith('{ imports: [A].concat(B) }')],
    ['a syntax error', moduleWith('{ imports: [ }')],
    ['another ledgerModule', moduleWith('{}', `${HEAD}import { ledgerModule } from './mine';\n`)],
    ['a ledgerModule of its own', moduleWith('{}', `${HEAD}const ledgerModule = 1;\n`)],
  ])('is refused with instructions, and nothing is planned: %s', (_, module) => {
    const plan = (): unknown => planInit(ts, filesOf(appOf(module)));
    expect(plan).toThrow(CommandError);
    expect(plan).toThrow(/^src\/app\.module\.ts is unchanged: .*LedgerModule\.forRootAsync/s);
  });

  it('is refused if there is none, or a foreign configuration', () => {
    expect(() => planInit(ts, filesOf(new Map()))).toThrow('there is no such file');
    const app = appOf(moduleWith('{}'), { 'src/ledger.config.ts': 'export default 1;' });
    expect(() => planInit(ts, filesOf(app))).toThrow('exports no ledgerModule');
  });
});

describe('what stands around the module', () => {
  it('listens for SIGTERM, or asks for that line', () => {
    const app = appOf(moduleWith('{}'));
    initialize(app);
    expect(app.get('src/main.ts')).toContain(
      'create(AppModule);\n  app.enableShutdownHooks();\n  await app.listen',
    );
    for (const main of [
      'NestFactory.create(A).then((app) => app.listen(1));',
      'await go();',
      '{',
    ]) {
      const { changes, notes } = planInit(
        ts,
        filesOf(appOf(moduleWith('{}'), { 'src/main.ts': main })),
      );
      expect(changes.map(({ path }) => path)).not.toContain('src/main.ts');
      expect(notes.join()).toContain('enableShutdownHooks');
    }
  });

  it('gets a sample of the environment behind what it has', () => {
    const app = appOf(moduleWith('{}'), { '.env.sample': 'PORT=3000' });
    initialize(app);
    expect(app.get('.env.sample')).toMatch(/^PORT=3000\n\n#.*\n#.*\nLEDGER_DATABASE_URL=postgres:/);
    expect(app.has('.env.example')).toBe(false);
  });

  it('leaves a ConfigModule as the module has it', () => {
    const head = `${HEAD}import { ConfigModule } from '@nestjs/config';\n`;
    const own = moduleWith('{ imports: [ConfigModule.forRoot({ isGlobal: true })] }', head);
    const text = initialize(appOf(own));
    expect(text.match(/ConfigModule\.forRoot/g)).toHaveLength(1);
    expect(text).toContain('ledgerModule');
  });

  it.each([
    [undefined, false],
    ['/dist\n# dotenv\n.env\n.env.local\n', false],
    ['*.env\r\n', false],
    ['/.env*\n', false],
    ['', true],
    ['dist\n.env.local\n!.env\n', true],
  ])('warns if git does not ignore .env: %j', (ignored, warns) => {
    const more: Record<string, string> = ignored === undefined ? {} : { '.gitignore': ignored };
    const { notes } = planInit(ts, filesOf(appOf(moduleWith('{}'), more)));
    expect(notes).toEqual(
      warns ? ['add .env to .gitignore: it holds the password of the database'] : [],
    );
  });

  it('leaves a ConfigModule that another module imports alone, but not one of a spec', () => {
    const text = '@Module({ imports: [ConfigModule.forRoot(options)] })\nexport class Shared {}\n';
    const head = `${HEAD}import { Shared } from './shared/shared.module';\n`;
    const own = moduleWith('{ imports: [Shared] }', head);
    const shared = initialize(appOf(own, { 'src/shared/shared.module.ts': text }));
    expect(shared).not.toContain('ConfigModule');
    expect(shared).toContain('imports: [Shared, ledgerModule]');
    const inSpec = initialize(appOf(own, { 'src/shared/shared.module.spec.ts': text }));
    expect(inSpec).toContain('ConfigModule.forRoot()');
  });

  it('finds nothing to do in a module that earlier versions wrote', () => {
    const head =
      `${HEAD}import { LedgerModule } from 'nestjs-ledger';\n` +
      `import { ledgerConfig } from './ledger.config';\n`;
    const app = appOf(
      moduleWith('{ imports: [LedgerModule.forRootAsync(ledgerConfig.asProvider())] }', head),
      { 'src/ledger.config.ts': 'export const ledgerConfig = 1;', 'test/app.e2e-spec.ts': E2E },
    );
    const paths = planInit(ts, filesOf(app)).changes.map(({ path }) => path);
    expect(paths).toEqual(['src/main.ts', '.env.example']);
  });
});

describe('lineDiff', () => {
  it('shows changes with what stands around them', () => {
    const before = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k'].join('\n');
    const after = before.replace('b', 'b2').replace('k', 'k\nl');
    expect(lineDiff({ path: 'x', before, after })).toEqual([
      '--- x',
      '+++ x',
      ' a',
      '-b',
      '+b2',
      ' c',
      ' d',
      ' e',
      '@@',
      ' i',
      ' j',
      ' k',
      '+l',
    ]);
    expect(lineDiff({ path: 'x', before: undefined, after: 'a\n' })).toEqual([
      '--- /dev/null',
      '+++ x',
      '+a',
    ]);
  });
});
