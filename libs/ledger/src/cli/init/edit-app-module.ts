import type ts from 'typescript';
import { CommandError } from '../command.error.js';
import { importLine, type SourceStyle } from './source-style.js';

/** The application's TypeScript compiler. @internal */
export type Compiler = typeof ts;

/** A longer line with the array is broken up. Source: Prettier's default width. */
const LINE_WIDTH = 80;

/** An import to add to an AppModule. @internal */
export interface ModuleImport {
  /** Local name, which must be free, and its module. */
  readonly name: string;
  readonly from: string;
  /** The element of `imports`; undefined if only another element needs the name. */
  readonly element?: string;
}

/**
 * Adds elements to `imports` of the only `@Module` in a file, and their import declarations.
 * Changes nothing else in the text.
 *
 * @throws CommandError if the module's form does not allow a safe edit
 * @internal
 */
export function editAppModule(
  compiler: Compiler,
  source: ts.SourceFile,
  style: SourceStyle,
  additions: readonly ModuleImport[],
): string {
  const options = moduleOptions(compiler, source);
  for (const { name } of additions) {
    if (declares(compiler, source, name))
      throw new CommandError(`${name} already has another meaning`);
  }
  const elements = additions.flatMap(({ element }) => element ?? []);
  const edits = [
    editImports(compiler, source, style, additions),
    editOptions(compiler, { source, style, options, elements }),
  ];
  // From the end, so that no edit moves the position of another.
  return edits
    .sort((a, b) => b.start - a.start)
    .reduce((text, { start, end, to }) => text.slice(0, start) + to + text.slice(end), source.text);
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly to: string;
}

interface OptionsEdit {
  readonly source: ts.SourceFile;
  readonly style: SourceStyle;
  readonly options: ts.ObjectLiteralExpression;
  readonly elements: readonly string[];
}

/** @throws CommandError unless there is one class with `@Module({ … })`, or one named AppModule */
function moduleOptions(compiler: Compiler, source: ts.SourceFile): ts.ObjectLiteralExpression {
  const found = source.statements.filter(compiler.isClassDeclaration).flatMap((statement) => {
    const calls = (compiler.getDecorators(statement) ?? [])
      .map(({ expression }) => expression)
      .filter(compiler.isCallExpression)
      .filter(({ expression }) => expression.getText(source) === 'Module');
    return calls.map((call) => ({ name: statement.name?.text, call }));
  });
  const named = found.length > 1 ? found.filter(({ name }) => name === 'AppModule') : found;
  const [only] = named;
  if (!only || named.length > 1) {
    throw new CommandError(`it has ${found.length} classes with @Module() instead of one`);
  }
  const [argument] = only.call.arguments;
  if (!argument || !compiler.isObjectLiteralExpression(argument)) {
    throw new CommandError('the argument of @Module() is not an object literal');
  }
  if (argument.properties.some(compiler.isSpreadAssignment)) {
    throw new CommandError('the options of @Module() are spread from elsewhere');
  }
  return argument;
}

function declares(compiler: Compiler, source: ts.SourceFile, name: string): boolean {
  let isFound = false;
  const look = (node: ts.Node): void => {
    if (compiler.isIdentifier(node) && node.text === name) isFound = true;
    else compiler.forEachChild(node, look);
  };
  look(source);
  return isFound;
}

function editImports(
  compiler: Compiler,
  source: ts.SourceFile,
  style: SourceStyle,
  additions: readonly ModuleImport[],
): Edit {
  const lines = [...new Set(additions.map(({ from }) => from))].map((from) => {
    const names = additions.filter((addition) => addition.from === from).map(({ name }) => name);
    return importLine(style, names, from);
  });
  const last = source.statements.filter(compiler.isImportDeclaration).at(-1);
  const { lineEnd } = style;
  const end = last?.getEnd();
  // `@Module` is imported, so there is an import declaration; a global would work too.
  return end === undefined
    ? { start: 0, end: 0, to: lines.join(lineEnd) + lineEnd + lineEnd }
    : { start: end, end, to: lineEnd + lines.join(lineEnd) };
}

function editOptions(compiler: Compiler, edit: OptionsEdit): Edit {
  const { source, style, options, elements } = edit;
  const property = options.properties.find((each) => nameOf(each, source) === 'imports');
  if (property === undefined) return addProperty(edit);
  const value = compiler.isPropertyAssignment(property) ? property.initializer : undefined;
  if (!value || !compiler.isArrayLiteralExpression(value)) {
    throw new CommandError('imports of @Module() is not an array literal');
  }
  const last = value.elements.at(-1);
  const [start, end] = [value.getStart(source), value.getEnd()];
  const base = indentAt(source, property.getStart(source));
  if (!last) return { start, end, to: arrayText(style, elements, base, columnAt(source, start)) };
  const isBroken = /\n/.test(source.text.slice(start, value.elements[0]!.getStart(source)));
  if (isBroken) {
    const pad = style.lineEnd + indentAt(source, last.getStart(source));
    const to = elements.map((element) => `,${pad}${element}`).join('');
    // A trailing comma stays after the added elements.
    return { start: last.getEnd(), end: last.getEnd(), to };
  }
  const all = [...value.elements.map((element) => element.getText(source)), ...elements];
  const isPlain =
    all.every((text) => !text.includes('\n')) && !/\/[*/]/.test(value.getText(source));
  if (isPlain) return { start, end, to: arrayText(style, all, base, columnAt(source, start)) };
  return { start: last.getEnd(), end: last.getEnd(), to: `, ${elements.join(', ')}` };
}

function addProperty({ source, style, options, elements }: OptionsEdit): Edit {
  const { lineEnd, indent } = style;
  const start = options.getStart(source) + 1;
  const [first] = options.properties;
  const outer = indentAt(source, options.getStart(source));
  const inner = outer + indent;
  const array = arrayText(style, elements, inner, `${inner}imports: `.length);
  if (!first) {
    const to = `${lineEnd}${inner}imports: ${array},${lineEnd}${outer}`;
    return { start, end: options.getEnd() - 1, to };
  }
  const isBroken = source.text.slice(start, first.getStart(source)).includes('\n');
  const to = isBroken ? `${lineEnd}${inner}imports: ${array},` : ` imports: ${array},`;
  return { start, end: start, to };
}

/** @param column column of the array's start @param base indentation of its line */
function arrayText(
  { indent, lineEnd }: SourceStyle,
  elements: readonly string[],
  base: string,
  column: number,
): string {
  const inline = `[${elements.join(', ')}]`;
  if (column + inline.length < LINE_WIDTH) return inline;
  const lines = elements.map((element) => `${base}${indent}${element},${lineEnd}`);
  return `[${lineEnd}${lines.join('')}${base}]`;
}

function nameOf(property: ts.ObjectLiteralElementLike, source: ts.SourceFile): string | undefined {
  return property.name?.getText(source).replaceAll(/['"]/g, '');
}

function lineStart(source: ts.SourceFile, position: number): number {
  return source.text.lastIndexOf('\n', position - 1) + 1;
}

function columnAt(source: ts.SourceFile, position: number): number {
  return position - lineStart(source, position);
}

function indentAt(source: ts.SourceFile, position: number): string {
  return /^[ \t]*/.exec(source.text.slice(lineStart(source, position)))?.[0] ?? '';
}
