/**
 * Compiles the library to CommonJS, into `libs/ledger/dist/cjs`, from the sources that the Nest CLI
 * compiles to ES modules. Not the command `tsc`: CommonJS has no `import.meta`, which a transformer
 * turns into what `__filename` says. Runs after the library's own build; copies the changelog, which
 * the package carries, beside its manifest.
 */
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '..');
const LIBRARY = join(ROOT, 'libs', 'ledger');
const OUTPUT = join(LIBRARY, 'dist', 'cjs');
/** "import.meta is not allowed here": what the transformer is for. */
const IMPORT_META = 1343;
const HOST = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => ROOT,
  getNewLine: () => '\n',
};

function isImportMeta(node) {
  return ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword;
}

/** `import.meta.url` becomes `require('node:url').pathToFileURL(__filename).href`. */
function withoutImportMeta(context) {
  const { factory } = context;
  const visit = (node) => {
    if (ts.isPropertyAccessExpression(node) && isImportMeta(node.expression)) {
      if (node.name.text !== 'url') throw new Error(`import.meta.${node.name.text} has no match`);
      const require = factory.createIdentifier('require');
      const url = factory.createCallExpression(require, undefined, [
        factory.createStringLiteral('node:url'),
      ]);
      const make = factory.createPropertyAccessExpression(url, 'pathToFileURL');
      const name = factory.createIdentifier('__filename');
      const made = factory.createCallExpression(make, undefined, [name]);
      return factory.createPropertyAccessExpression(made, 'href');
    }
    return ts.visitEachChild(node, visit, context);
  };
  return (file) => ts.visitEachChild(file, visit, context);
}

const config = ts.getParsedCommandLineOfConfigFile(join(LIBRARY, 'tsconfig.cjs.json'), undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: (fault) => {
    throw new Error(ts.formatDiagnostic(fault, HOST));
  },
});
const program = ts.createProgram(config.fileNames, config.options);
rmSync(OUTPUT, { recursive: true, force: true });
const { diagnostics } = program.emit(undefined, undefined, undefined, false, {
  before: [withoutImportMeta],
});
const faults = [...ts.getPreEmitDiagnostics(program), ...diagnostics].filter(
  ({ code }) => code !== IMPORT_META,
);
if (faults.length > 0) throw new Error(ts.formatDiagnostics(faults, HOST));
mkdirSync(OUTPUT, { recursive: true });
writeFileSync(join(OUTPUT, 'package.json'), '{ "type": "commonjs" }\n');
copyFileSync(join(ROOT, 'CHANGELOG.md'), join(LIBRARY, 'CHANGELOG.md'));
