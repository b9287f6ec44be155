/**
 * Characters of one kind in a row after which a text is cut. The tokenizer takes such a run as one
 * piece, in time that grows with its square: 30,000 letters took 0.8 s, and a million would take a
 * quarter of an hour. No word is as long.
 */
const LONGEST_RUN = 128;

/**
 * Cuts a text in the midst of runs that no language has, so that counting takes time in proportion;
 * any other text is one part. A cut may make a token more.
 */
export function* boundedRuns(text: string): Generator<string> {
  let start = 0;
  let run = 0;
  let last = '';
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const kind = kindOf(code);
    run = kind === last ? run + 1 : 1;
    last = kind;
    // Never between the halves of one character.
    if (run < LONGEST_RUN || (code >= 0xd800 && code < 0xdc00)) continue;
    yield text.slice(start, at + 1);
    start = at + 1;
    run = 0;
  }
  if (start < text.length) yield text.slice(start);
}

/** As coarse as it may be: what the tokenizer tells apart further only makes its pieces shorter. */
function kindOf(code: number): 'letter' | 'space' | 'digit' | 'sign' {
  if (code <= 0x20) return 'space';
  if (code >= 0x30 && code <= 0x39) return 'digit';
  const isAsciiLetter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
  if (code < 0x80) return isAsciiLetter ? 'letter' : 'sign';
  // General punctuation, and that of Chinese and Japanese, which end their words.
  const isSign = (code >= 0x2000 && code < 0x2070) || (code >= 0x3000 && code < 0x3040);
  return isSign || (code >= 0xff00 && code <= 0xff20) ? 'sign' : 'letter';
}
