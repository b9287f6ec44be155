import type ts from 'typescript';

/** The style of an application's sources, used for added code. @internal */
export interface SourceStyle {
  readonly quote: "'" | '"';
  readonly semicolon: ';' | '';
  readonly lineEnd: '\n' | '\r\n';
  /** One step of indentation. */
  readonly indent: string;
  /** Ending of a relative import: `.js` in ES modules, empty in CommonJS. */
  readonly extension: '' | '.js' | '.ts';
}

/** @param isEsm from package.json; used if no relative import shows it @internal */
export function readSourceStyle({ text }: ts.SourceFile, isEsm: boolean): SourceStyle {
  const relative = [...text.matchAll(/from\s+['"](\.[^'"]*)['"]/g)].map(([, path]) => path ?? '');
  const [sample] = relative;
  const ending = sample === undefined ? (isEsm ? '.js' : '') : /\.[jt]s$/.exec(sample)?.[0];
  return { ...styleOf(text), extension: (ending ?? '') as SourceStyle['extension'] };
}

/** The style of a text, except the ending of its relative imports. @internal */
export function styleOf(text: string): Omit<SourceStyle, 'extension'> {
  const [, quote, target, semicolon] =
    /^import\b[^;'"]*(['"])([^'"]*)['"](;?)/m.exec(text) ?? ([] as string[]);
  return {
    quote: quote === '"' ? '"' : "'",
    semicolon: target !== undefined && semicolon === '' ? '' : ';',
    lineEnd: text.includes('\r\n') ? '\r\n' : '\n',
    indent: /^([ \t]+)\w+/m.exec(text)?.[1] ?? '  ',
  };
}

/** One import declaration, without its line end. @internal */
export function importLine(style: SourceStyle, names: readonly string[], from: string): string {
  const { quote, semicolon } = style;
  return `import { ${names.join(', ')} } from ${quote}${from}${quote}${semicolon}`;
}
