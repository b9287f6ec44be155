import { importLine, type SourceStyle } from './source-style.js';

/** What a test of the whole application is to import. @internal */
export interface TestImports {
  /** How the test reaches the file with the ledger's module. */
  readonly config: string;
  readonly style: SourceStyle;
}

/** The one place of a new application's test, as the Nest CLI writes it. */
const COMPILED =
  /Test\s*\.\s*createTestingModule\(\s*\{\s*imports:\s*\[\s*AppModule\s*,?\s*\],?\s*\}\s*\)(\s*)\.compile\(\)/g;

/**
 * Lets a test of the whole application run without a database: the ledger over memory takes the place of
 * the real one.
 *
 * @returns the text, the same if it is done already; undefined if it is not clear where that belongs
 * @internal
 */
export function editE2eSpec(text: string, { config, style }: TestImports): string | undefined {
  if (/\bLedgerTestingModule\b/.test(text)) return text;
  const found = [...text.matchAll(COMPILED)];
  const [only] = found;
  const lastImport = [...text.matchAll(/^import\s[^;'"]*['"][^'"]*['"];?/gm)].at(-1);
  if (only === undefined || found.length > 1 || lastImport === undefined) return undefined;
  const { lineEnd, indent } = style;
  const start = only.index;
  const line = text.slice(text.lastIndexOf('\n', start) + 1, start);
  const pad = lineEnd + (/^[ \t]*/.exec(line)?.[0] ?? '') + indent;
  const chain = [
    '.overrideModule(ledgerModule)',
    '.useModule(LedgerTestingModule.forRoot())',
    '.compile()',
  ];
  const end = start + only[0].length;
  const call = only[0].replace(/\s*\.compile\(\)$/, '');
  const edited =
    text.slice(0, start) + call + chain.map((each) => pad + each).join('') + text.slice(end);
  const imports = [
    importLine(style, ['LedgerTestingModule'], 'nestjs-ledger/testing'),
    importLine(style, ['ledgerModule'], config),
  ];
  const at = lastImport.index + lastImport[0].length;
  return edited.slice(0, at) + imports.map((each) => lineEnd + each).join('') + edited.slice(at);
}
