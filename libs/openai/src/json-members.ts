/** Where a member of an object stands in its text. */
interface MemberSpan {
  readonly key: string;
  /** Where its key begins. */
  readonly start: number;
  readonly valueStart: number;
  /** Behind its value. */
  readonly end: number;
}

/** A change of a text: what stands between two places is replaced. */
export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * How to set a member of an object in its JSON text, and leave every other character as it is.
 *
 * @param text valid JSON of an object; UTF-16, or bytes as Latin-1
 * @param value JSON
 */
export function memberSplice(text: string, key: string, value: string): Splice {
  const spans = membersOf(text);
  const last = spans.findLast((span) => span.key === key);
  // Of two members of one name most readers take the last.
  if (last) return { from: last.valueStart, to: last.end, text: value };
  const open = text.indexOf('{') + 1;
  const comma = spans.length === 0 ? '' : ',';
  return { from: open, to: open, text: `${JSON.stringify(key)}:${value}${comma}` };
}

/** Sets a member of an object in its JSON text; `memberSplice` has the rules. */
export function withMember(text: string, key: string, value: string): string {
  const splice = memberSplice(text, key, value);
  return text.slice(0, splice.from) + splice.text + text.slice(splice.to);
}

/** Takes a member out of an object's JSON text, its comma too, and leaves every other character. */
export function withoutMember(text: string, key: string): string {
  const spans = membersOf(text);
  const at = spans.findIndex((span) => span.key === key);
  const span = spans[at];
  if (!span) return text;
  const next = spans[at + 1];
  // With the comma behind it, or, of the last one, the comma before.
  const from = next ? span.start : (spans[at - 1]?.end ?? span.start);
  // There may be another of that name.
  return withoutMember(text.slice(0, from) + text.slice(next?.start ?? span.end), key);
}

/** The members of the outermost object, in order. */
function membersOf(text: string): MemberSpan[] {
  const spans: MemberSpan[] = [];
  let at = text.indexOf('{') + 1;
  for (;;) {
    const start = skip(text, at, BLANKS);
    if (text[start] !== '"') return spans;
    const keyEnd = endOfString(text, start);
    const valueStart = skip(text, skip(text, keyEnd, BLANKS) + 1, BLANKS);
    const end = endOfValue(text, valueStart);
    const key = JSON.parse(text.slice(start, keyEnd)) as string;
    spans.push({ key, start, valueStart, end });
    at = skip(text, end, BLANKS);
    if (text[at] !== ',') return spans;
    at += 1;
  }
}

const BLANKS = /[^ \t\r\n]|$/g;
/** What ends a number or a word. */
const DELIMITERS = /[,\]} \t\r\n]|$/g;
/** What matters inside an object or array. */
const BRACKETS = /["{}[\]]|$/g;

function skip(text: string, from: number, until: RegExp): number {
  until.lastIndex = from;
  return until.exec(text)?.index ?? text.length;
}

function endOfString(text: string, quote: number): number {
  for (let at = quote + 1; ;) {
    const end = text.indexOf('"', at);
    if (end < 0) return text.length;
    let slashes = 0;
    while (text[end - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
}

function endOfValue(text: string, start: number): number {
  if (text[start] === '"') return endOfString(text, start);
  if (text[start] !== '{' && text[start] !== '[') return skip(text, start, DELIMITERS);
  let depth = 0;
  for (let at = start; at < text.length;) {
    const found = skip(text, at, BRACKETS);
    const sign = text[found];
    if (sign === undefined) break;
    at = sign === '"' ? endOfString(text, found) : found + 1;
    if (sign === '{' || sign === '[') depth += 1;
    else if (sign !== '"' && --depth === 0) return at;
  }
  return text.length;
}
