/**
 * Makes what was built fit to be published: the same code in a third less room. Runs after both
 * builds of the library.
 *
 * - Code loses its comments (they stand in the types and in the sources) and is laid out on the
 *   lines of the TypeScript that it was made of, in both formats. So a line's number is right even
 *   without a source map, and one map, which holds the source itself, serves both formats.
 * - Types that no entry point leads to are removed: nobody can import them. So is what is left of the
 *   code of a module that has nothing but types.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const LIBRARY = join(import.meta.dirname, '..', 'libs', 'ledger');
const SOURCE = join(LIBRARY, 'src');
const FORMATS = ['esm', 'cjs'];
/** Digits of the numbers in a map. Source: ECMA-426, base64 VLQ. */
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** After these no statement can end, so that a line may. */
const UNFINISHED = new Set([',', '{', '(', '[', ';', '=>', '=', '?', ':', '&&', '||', '??', '+']);

/** Every token of a file, in order; comments are none. */
function* tokensOf(node, file) {
  if (node.kind >= ts.SyntaxKind.FirstJSDocNode && node.kind <= ts.SyntaxKind.LastJSDocNode) return;
  const children = node.getChildren(file);
  if (children.length > 0) for (const child of children) yield* tokensOf(child, file);
  else if (node.end > node.getStart(file)) yield node;
}

/** Tokens before which a line may begin, each with the line of its source (from 0). */
function lineStarts(file, map) {
  const starts = [];
  let before;
  for (const token of tokensOf(file, file)) {
    const position = token.getStart(file);
    const isNewLine = before === undefined || file.text.slice(before.end, position).includes('\n');
    if (isNewLine || UNFINISHED.has(before.getText(file))) {
      const { line, character } = file.getLineAndCharacterOfPosition(position);
      const found = map.findEntry(line, character);
      // What tsc added has none.
      if (found.generatedLine === line) starts.push({ position, line: found.originalLine });
    }
    before = token;
  }
  return starts;
}

/**
 * As many of the starts as can stand in the order of their lines. Few can't: what tsc moved, like
 * the export of a function to the top and decorators behind their class.
 */
function inOrder(starts) {
  // The longest series that does not fall: for each length the series with the lowest last line.
  const best = [];
  for (const start of starts) {
    let low = 0;
    for (let high = best.length; low < high;) {
      const middle = (low + high) >> 1;
      if (best[middle].line <= start.line) low = middle + 1;
      else high = middle;
    }
    best[low] = { ...start, before: best[low - 1] };
  }
  const lines = new Map();
  for (let last = best.at(-1); last !== undefined; last = last.before) {
    lines.set(last.position, last.line);
  }
  return lines;
}

/** Code without comments, each line where its source has it, or behind what stands there already. */
function layOut(text, payload) {
  const file = ts.createSourceFile('code.js', text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
  const lines = inOrder(lineStarts(file, new SourceMap(payload)));
  let code = ts.getShebang(text) ?? '';
  let line = 0;
  let end = code.length;
  for (const token of tokensOf(file, file)) {
    const start = token.getStart(file);
    const wanted = lines.get(start) ?? line;
    if (wanted > line) {
      code += '\n'.repeat(wanted - line) + ' '.repeat(indentOf(text, start) / 2);
      line = wanted;
    } else if (start > end && end > 0) {
      code += ' ';
    }
    const own = text.slice(start, token.end);
    code += own;
    line += own.split('\n').length - 1;
    end = token.end;
  }
  return `${code}\n`;
}

function indentOf(text, position) {
  const line = text.slice(text.lastIndexOf('\n', position) + 1, position);
  return line.length - line.trimStart().length;
}

/** A number as a map has it. @param value 0 or more */
function vlq(value) {
  let digits = '';
  let rest = value << 1;
  do {
    digits += BASE64[(rest & 31) | (rest > 31 ? 32 : 0)];
    rest >>>= 5;
  } while (rest > 0);
  return digits;
}

/** The map of every format's code: each line that has code in one of them is that of the source. */
function mapOf(mapPath, sourcePath, codes) {
  const source = readFileSync(sourcePath, 'utf8');
  const texts = codes.map((code) => code.split('\n'));
  let before = 0;
  const mappings = source
    .trimEnd()
    .split('\n')
    .map((_, line) => {
      if (line > 0 && texts.every((lines) => !lines[line]?.trim())) return '';
      // Column 0, the same file, so many lines on, column 0.
      const segment = `AA${vlq(line - before)}A`;
      before = line;
      return segment;
    });
  return JSON.stringify({
    version: 3,
    sources: [relative(dirname(mapPath), sourcePath)],
    sourcesContent: [source],
    names: [],
    mappings: mappings.join(';').replace(/;+$/, ''),
  });
}

function filesOf(format, ending) {
  const folder = join(LIBRARY, 'dist', format);
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => ({ name, path: join(folder, name) }));
}

function trimCode(format) {
  for (const { name, path } of filesOf(format, '.js')) {
    const mapPath = join(LIBRARY, 'dist', FORMATS[0], `${name}.map`);
    const payload = JSON.parse(readFileSync(`${path}.map`, 'utf8'));
    const code = layOut(readFileSync(path, 'utf8'), payload);
    writeFileSync(path, `${code}//# sourceMappingURL=${relative(dirname(path), mapPath)}\n`);
    rmSync(`${path}.map`);
  }
}

/** @throws Error if such a module is imported for its code all the same */
function trimTypeModules() {
  const isEmpty = ({ path }) =>
    /^\s*export \{\s*\};?\s*(\/\/.*\s*)?$/.test(readFileSync(path, 'utf8'));
  const names = filesOf(FORMATS[0], '.js')
    .filter(isEmpty)
    .map(({ name }) => name);
  for (const format of FORMATS) {
    const folder = join(LIBRARY, 'dist', format);
    for (const name of names) rmSync(join(folder, name), { force: true });
    for (const { name, path } of filesOf(format, '.js')) {
      const { importedFiles } = ts.preProcessFile(readFileSync(path, 'utf8'), true, true);
      for (const { fileName } of importedFiles) {
        if (fileName.startsWith('.') && !existsSync(join(dirname(path), fileName)))
          throw new Error(`${format}/${name} imports ${fileName}, which has no code`);
      }
    }
  }
}

function writeMaps() {
  for (const { name, path } of filesOf(FORMATS[0], '.js')) {
    const mapPath = `${path}.map`;
    const paths = FORMATS.map((format) => join(LIBRARY, 'dist', format, name)).filter(existsSync);
    const codes = paths.map((each) => readFileSync(each, 'utf8'));
    writeFileSync(mapPath, mapOf(mapPath, join(SOURCE, name.replace(/\.js$/, '.ts')), codes));
  }
}

/** Every file of types that an entry point leads to. */
function typesInUse(format) {
  const { exports } = JSON.parse(readFileSync(join(LIBRARY, 'package.json'), 'utf8'));
  const condition = format === 'esm' ? 'import' : 'require';
  const entries = Object.values(exports).map((ways) => ways[condition]?.types);
  const open = entries.filter(Boolean).map((path) => join(LIBRARY, path));
  const seen = new Set(open);
  for (const path of seen) {
    const { importedFiles } = ts.preProcessFile(readFileSync(path, 'utf8'));
    for (const { fileName } of importedFiles.filter(({ fileName }) => fileName.startsWith('.'))) {
      const found = join(dirname(path), fileName.replace(/\.js$/, '.d.ts'));
      if (!existsSync(found)) throw new Error(`${path} imports types of ${fileName}: none there`);
      seen.add(found);
    }
  }
  return seen;
}

function trimTypes(format) {
  const inUse = typesInUse(format);
  for (const { path } of filesOf(format, '.d.ts')) if (!inUse.has(path)) rmSync(path);
}

for (const format of FORMATS) {
  trimCode(format);
  trimTypes(format);
}
trimTypeModules();
writeMaps();
