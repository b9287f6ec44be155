import type ts from 'typescript';
import type { Compiler } from './edit-app-module.js';

/**
 * Adds `enableShutdownHooks()` after the creation of a file's only application.
 *
 * @returns the text, unchanged if it has the call; undefined if the place is unclear
 * @internal
 */
export function editMain(compiler: Compiler, source: ts.SourceFile): string | undefined {
  const { text } = source;
  if (/\benableShutdownHooks\b/.test(text)) return text;
  const made: { readonly name: string; readonly statement: ts.Node }[] = [];
  const look = (node: ts.Node): void => {
    if (compiler.isVariableDeclaration(node) && compiler.isIdentifier(node.name)) {
      const call = /^await\s+NestFactory\s*\.\s*create\w*\s*[<(]/;
      const isMade = node.initializer && call.test(node.initializer.getText(source));
      if (isMade) made.push({ name: node.name.text, statement: node.parent.parent });
    }
    compiler.forEachChild(node, look);
  };
  look(source);
  const [only] = made;
  if (!only || made.length > 1 || !compiler.isVariableStatement(only.statement)) return undefined;
  const start = only.statement.getStart(source);
  const end = only.statement.getEnd();
  const indent = /[ \t]*$/.exec(text.slice(0, start))?.[0] ?? '';
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n';
  const semicolon = text[end - 1] === ';' ? ';' : '';
  const line = `${lineEnd}${indent}${only.name}.enableShutdownHooks()${semicolon}`;
  return text.slice(0, end) + line + text.slice(end);
}
