/** One fenced block of a page. */
export interface CodeBlock {
  /** First word behind the fence; empty if there is none. */
  readonly language: string;
  /** What `<!-- example: name -->` right before the fence says; undefined without one. */
  readonly name: string | undefined;
  readonly code: string;
}

const BLOCK = /(?:<!-- example: ([\w-]+) -->\n+)?^```(\w*)[^\n]*\n(.*?)^```$/gms;
/** A link or an image, in Markdown or in HTML. */
const LINK = /\]\(([^)\s]+)\)|\b(?:href|src|srcset)="([^"\s]+)"/g;

/** All fenced blocks of a page, in order. */
export function codeBlocks(page: string): CodeBlock[] {
  return [...page.matchAll(BLOCK)].map(([, name, language, code]) => ({
    name,
    language: language ?? '',
    code: code ?? '',
  }));
}

/** Code of the block with this name. @throws Error if the page has none, or several */
export function exampleOf(page: string, name: string): string {
  const found = codeBlocks(page).filter((block) => block.name === name);
  if (found.length !== 1) throw new Error(`${found.length} examples named ${name}`);
  return found[0]?.code ?? '';
}

/** Cells of the table between `<!-- name -->` and `<!-- /name -->`, without the line of dashes. */
export function tableBetween(page: string, name: string): string[][] {
  const start = page.indexOf(`<!-- ${name} -->`);
  const end = page.indexOf(`<!-- /${name} -->`);
  if (start < 0 || end < start) throw new Error(`the page has no part named ${name}`);
  return tableCells(page.slice(start, end));
}

/** Cells of the rows of a table, trimmed: how wide they are drawn says nothing. */
export function tableCells(markdown: string): string[][] {
  const rows = markdown.split('\n').filter((line) => line.startsWith('|') && /[^|\s:-]/.test(line));
  return rows.map((row) => {
    const cells = row
      .trim()
      .slice(1, -1)
      .split(/(?<!\\)\|/);
    return cells.map((cell) => cell.trim());
  });
}

/** Targets of links and images in the repository and of links to headings, in order; none of the web. */
export function localLinks(page: string): string[] {
  const prose = page.replaceAll(BLOCK, '');
  const targets = [...prose.matchAll(LINK)].map(([, target, inHtml]) => target ?? inHtml ?? '');
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** Names that GitHub gives the headings of a page. */
export function headingAnchors(page: string): Set<string> {
  const headings = page.replaceAll(BLOCK, '').matchAll(/^#+ (.+)$/gm);
  const anchorOf = (heading: string): string =>
    heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-');
  return new Set([...headings].map(([, heading]) => anchorOf(heading ?? '')));
}
