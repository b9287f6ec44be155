/** Position of an object's member in its text. */
interface MemberSpan {
  readonly key: string;
  /** Start of its key. */
  readonly start: number;
  readonly valueStart: number;
  /** End after its value. */
  readonly end: number;
}

/** A change of a text: the range between two positions is replaced. */
export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * How to set a member of an object in its JSON text, with every other character unchanged.
 *
 * @param text valid JSON of an object; UTF-16, or bytes as Latin-1
 * @param value JSON
 */
export function memberSplice(text: string, key: string, value: string): Splice {
  const spans = membersOf(text);
  const last = spans.findLast((span) => span.key === key);
  // If two members have one name, most readers use the last.
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

/**
 * Removes a member from an object's JSON text, including its comma, with every other character
 * unchanged.
 */
export function withoutMember(text: string, key: string): string {
  const spans = membersOf(text);
  const at = spans.findIndex((span) => span.key === key);
  const span = spans[at];
  if (!span) return text;
  const next = spans[at + 1];
  // With the comma after it, or, for the last one, the comma before.
  const from = next ? span.start : (spans[at - 1]?.end ?? span.start);
  // Another one may have the same name.
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
/** End of a number or a word. */
const DELIMITERS = /[,\]} \t\r\n]|$/g;
/** Relevant characters inside an object or array. */
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
