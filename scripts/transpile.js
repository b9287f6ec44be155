/**
 * `node scripts/transpile.js [--to folder] [tsconfig …]`: makes JavaScript of the projects named,
 * by default of the libraries and the gateway. File by file, types unread and unchecked: a first
 * start must not wait for the compiler, which reads some thousand declarations for each of them,
 * nor must a benchmark, which `typecheck` has read. A test compares what runs with what `build`
 * makes, which also writes the declarations.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '..');
const START = [
  'libs/ledger/tsconfig.lib.json',
  'libs/embedded-postgres/tsconfig.lib.json',
  'libs/openai/tsconfig.lib.json',
  'tsconfig.build.json',
];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  // Where to, instead of each project's own folder; for the test.
  options: { to: { type: 'string' } },
});
const projects = positionals.length > 0 ? positionals : START;

function readProject(path) {
  return ts.getParsedCommandLineOfConfigFile(join(ROOT, path), undefined, {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
      throw new Error(`${path}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
    },
  });
}

for (const path of projects) {
  const { fileNames, options } = readProject(path);
  const folder = values.to ? join(values.to, relative(ROOT, options.outDir)) : options.outDir;
  for (const fileName of fileNames) {
    const output = join(folder, relative(options.rootDir, fileName).replace(/\.ts$/, '.js'));
    const { outputText, sourceMapText } = ts.transpileModule(readFileSync(fileName, 'utf8'), {
      // A single file does not show that its package has ES modules.
      compilerOptions: {
        ...options,
        module: ts.ModuleKind.ESNext,
        declaration: false,
        sourceMap: true,
      },
      fileName,
    });
    mkdirSync(dirname(output), { recursive: true });
    writeFileSync(output, outputText);
    writeFileSync(`${output}.map`, sourceMapText);
  }
}
