/**
 * Contiguous UTF-16 units of one class after which a text is cut. The tokenizer's rule treats such
 * a run as one word, and the package merges a word in time that grows with its square: 30,000
 * letters took 0.8 s, and a million would take a quarter of an hour. No real word is as long.
 */
const LONGEST_RUN = 128;
/** Approximate UTF-16 units in a part; 1 ms of counting in most texts. */
const PART_UNITS = 4096;
/** Maximum UTF-16 units by which a cut moves back to keep a visible character whole. */
const LONGEST_CHARACTER = 32;

/**
 * The classes of the rules for cl100k_base and o200k_base, whose words are runs of one of them, maybe
 * with a character before, or signs with line ends after. A mark belongs to the letters by one rule
 * and to the signs by the other; `/` and line ends in turn are the end of a word of signs.
 */
const LETTERS = 1;
const SIGNS = 2;
const SPACES = 4;
const LINE_ENDS = 8;
/** By three at most, so a run of them is no long word. */
const DIGITS = 16;
const RUNS = [LETTERS, SIGNS, SPACES, LINE_ENDS];
const MARK = LETTERS | SIGNS;
const NEWLINE = SPACES | LINE_ENDS;

/** Classes by code point, each filled in when it is first met. */
const knownClasses = new Uint8Array(0x11_0000);

/**
 * Cuts a text in parts of some thousand characters, so that counting can be left off in between, and
 * so that no part has a word that takes long. A part ends where `isFreeCut` says so; a text without
 * such a place for a whole part, or with a run that no language has, is cut in its midst, which may
 * make a token or two more. Never between the halves of a surrogate pair.
 */
export function* boundedRuns(text: string): Generator<string> {
  let start = 0;
  while (start < text.length) {
    const end = endOfPart(text, start);
    yield text.slice(start, end);
    start = end;
  }
}

/**
 * Whether the tokenizer cuts a text here by both rules, whatever stands further before and behind,
 * so that both sides have together the tokens of the whole. Some such places it does not know.
 */
export function isFreeCut(text: string, at: number): boolean {
  const before = classAt(text, at - 1);
  const after = classAt(text, at);
  // A word of line ends and spaces goes to its last line end, and takes a `/` along after a sign.
  if (before === NEWLINE) return (after & NEWLINE) === 0;
  // Spaces are cut by what follows them.
  if (before === SPACES) return false;
  if (after === SPACES || (before & DIGITS) !== (after & DIGITS)) return true;
  // An apostrophe may be that of "it's"; nothing else is taken along by letters.
  return before === LETTERS && (after & LETTERS) === 0 && text[at] !== "'";
}

function endOfPart(text: string, start: number): number {
  const goal = Math.min(start + PART_UNITS, text.length);
  // One look in as many units finds every run that is longer, and reads little of other text.
  for (let at = start; at < goal; at += LONGEST_RUN) {
    const run = longRunAt(text, at, start);
    if (run !== undefined) return endOfCharacter(text, run + LONGEST_RUN);
  }
  if (goal === text.length) return goal;
  for (let end = goal; end > start; end--) {
    if (isFreeCut(text, end)) return end;
  }
  return endOfDigits(text, start, endOfCharacter(text, goal));
}

/** Where the run begins that goes through a place, if it is too long. */
function longRunAt(text: string, at: number, start: number): number | undefined {
  const classes = classAt(text, at);
  for (const one of RUNS) {
    if ((classes & one) === 0) continue;
    let from = at;
    while (from > start && (classAt(text, from - 1) & one) !== 0) from--;
    const end = from + LONGEST_RUN;
    if (end >= text.length) continue;
    let to = at + 1;
    while (to <= end && (classAt(text, to) & one) !== 0) to++;
    if (to > end) return from;
  }
  return undefined;
}

/** The last position up to this one that does not split a character, as a reader sees it. */
function endOfCharacter(text: string, at: number): number {
  for (let end = at; end > at - LONGEST_CHARACTER; end--) {
    if (
      !isInPair(text, end) &&
      !/^(\u200d|.[\p{M}\p{EMod}\u200d])/su.test(text.slice(end - 1, end + 2))
    )
      return end;
  }
  return isInPair(text, at) ? at - 1 : at;
}

/** Among digits, which the rules take by three, the last place up to this one between such three. */
function endOfDigits(text: string, start: number, at: number): number {
  let from = at;
  while (from > start && classAt(text, from - 1) === DIGITS) from--;
  if (from === at || classAt(text, at) !== DIGITS) return at;
  const digits = Array.from(text.slice(from, at));
  const left = digits.slice(digits.length - (digits.length % 3));
  return at - left.join('').length;
}

/** The classes of the character that a unit belongs to. */
function classAt(text: string, at: number): number {
  let code = text.charCodeAt(at);
  if (code >= 0xd800 && code < 0xe000)
    code = text.codePointAt(isInPair(text, at) ? at - 1 : at) ?? 0;
  return (knownClasses[code] ||= classOf(code));
}

function classOf(code: number): number {
  const character = String.fromCodePoint(code);
  if (/\p{L}/u.test(character)) return LETTERS;
  if (/\p{M}/u.test(character)) return MARK;
  if (/\p{N}/u.test(character)) return DIGITS;
  if (/[\r\n]/.test(character)) return NEWLINE;
  if (/\s/.test(character)) return SPACES;
  return character === '/' ? SIGNS | LINE_ENDS : SIGNS;
}

/** Whether a place is between the halves of a surrogate pair. */
function isInPair(text: string, at: number): boolean {
  return (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}
