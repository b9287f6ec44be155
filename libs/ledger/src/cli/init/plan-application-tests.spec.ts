import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { E2E, filesOf } from './fixtures/application-files.fixture.js';
import { planApplicationTests } from './plan-application-tests.js';

const planFor = (app: Readonly<Record<string, string>>, root = 'src') =>
  planApplicationTests(filesOf(new Map(Object.entries(app))), root);

function parses(text: string): boolean {
  return ts.transpileModule(text, { reportDiagnostics: true }).diagnostics?.length === 0;
}

describe('the test of a new application', () => {
  it.each([
    ['of Nest 11', E2E, "'./../src/ledger.config'"],
    ['of Nest 12', E2E.replace('app.module', 'app.module.js'), "'./../src/ledger.config.js'"],
    ['in double quotes', E2E.replaceAll("'", '"'), '"./../src/ledger.config"'],
    ['with Windows line ends', E2E.replaceAll('\n', '\r\n'), "'./../src/ledger.config'"],
  ])('gets an in-memory ledger, once: %s', (_what, text, config) => {
    const path = 'test/app.e2e-spec.ts';
    const { changes, unclear } = planFor({ [path]: text });
    const { after } = changes[0]!;
    expect(unclear).toEqual([]);
    expect(parses(after)).toBe(true);
    expect(after).toContain(`import { ledgerModule } from ${config};`);
    expect(after).toMatch(
      /\}\)\r?\n {6}\.overrideModule\(ledgerModule\)\r?\n {6}\.useModule\(LedgerTestingModule\.forRoot\(\)\)\r?\n {6}\.compile\(\);/,
    );
    expect(/\r\n/.test(text)).toBe(!/[^\r]\n/.test(after));
    expect(planFor({ [path]: after }).changes).toEqual([{ path, before: after, after }]);
  });

  it.each([
    ['more modules', E2E.replace('[AppModule]', '[AppModule, Other]')],
    ['a builder', E2E.replace('.compile()', '.overrideProvider(A).useValue(1).compile()')],
    ['another way', 'import { AppModule } from "./../src/app.module";\nboot(AppModule);\n'],
  ])('is left alone, and named, if it has another shape: %s', (_what, text) => {
    const { changes, unclear } = planFor({ 'test/app.e2e-spec.ts': text });
    expect(changes).toEqual([]);
    expect(unclear).toEqual(['test/app.e2e-spec.ts']);
  });
});

describe('every test that starts the application', () => {
  const below = (folder: string) => E2E.replace('./../src', folder);

  it.each([
    ['test/user/user.e2e-spec.ts', '../../src', 'src'],
    ['test/support/start-app.ts', '../../src', 'src'],
    ['e2e/users.test.ts', '../src', 'src'],
    ['src/app.spec.ts', '.', 'src'],
    ['apps/api/test/app.e2e-spec.ts', '../src', 'apps/api/src'],
  ])('gets an in-memory ledger: %s', (path, folder, root) => {
    const { changes } = planFor({ [path]: below(folder), 'test/other.ts': 'export {};' }, root);
    expect(changes.map((change) => change.path)).toEqual([path]);
    expect(changes[0]!.after).toContain(`from '${folder}/ledger.config'`);
  });

  it('is found among sources and data, which stay as they are', () => {
    const { changes, unclear } = planFor({
      'src/main.ts': E2E,
      'src/article/article.spec.ts': E2E.replace('./../src/app.module', './article.module'),
      'test/data.json': '{}',
      'test/notes.md': E2E,
    });
    expect([changes, unclear]).toEqual([[], []]);
  });
});
