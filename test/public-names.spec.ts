import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const LIBRARY = fileURLToPath(new URL('../libs/ledger', import.meta.url));
const SOURCE = join(LIBRARY, 'src');

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
}

/** Names that a file declares and exports; with a tag only those whose docstring has it. */
function declaredIn(path: string, tag?: string): string[] {
  const declarations = parse(path).statements.flatMap((statement): ts.Declaration[] =>
    ts.isVariableStatement(statement)
      ? [...statement.declarationList.declarations]
      : [statement as ts.DeclarationStatement],
  );
  return declarations.flatMap((node) => {
    const isExported = (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
    const tags = ts.getJSDocTags(node).map(({ tagName }) => tagName.text);
    const name = ts.getNameOfDeclaration(node);
    const counts = isExported && (tag === undefined || tags.includes(tag));
    return counts && name ? [name.getText()] : [];
  });
}

/** Names that an entry point passes on. */
function exportedBy(index: string): string[] {
  return parse(index).statements.flatMap((statement) => {
    const { exportClause, moduleSpecifier } = statement as ts.ExportDeclaration;
    if (exportClause)
      return (exportClause as ts.NamedExports).elements.map(({ name }) => name.text);
    const file = (moduleSpecifier as ts.StringLiteral).text.replace(/js$/, 'ts');
    return declaredIn(join(dirname(index), file));
  });
}

describe('names of the package', () => {
  it('are tagged @publicApi if an entry point exports them, and only then', () => {
    const { exports } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8')) as {
      exports: Record<string, string | { import: { default: string } }>;
    };
    const entries = Object.values(exports).filter((target) => typeof target !== 'string');
    const exported = entries.flatMap((target) => {
      const path = target.import.default.replace('./dist/esm/', '').replace(/js$/, 'ts');
      return exportedBy(join(SOURCE, path));
    });
    const tagged = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => declaredIn(join(SOURCE, path), 'publicApi'));
    const sorted = (names: string[]): string[] => [...new Set(names)].sort();
    expect(sorted(tagged)).toEqual(sorted(exported));
  });

  it('are few enough to be learnt: what is rarely used has an entry point of its own', () => {
    expect(new Set(exportedBy(join(SOURCE, 'index.ts'))).size).toBeLessThanOrEqual(80);
  });
});
