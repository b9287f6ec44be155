/**
 * What one body may have. A conversation of 5,000 messages that call tools has some 80,000 objects,
 * arrays and keys; the largest `input` of embeddings 300,000 numbers. Each object takes some 60 bytes
 * of memory for two of its text, and the time to make and check it.
 */
const MAX_NODES = 100_000;
const MAX_VALUES = 500_000;

/** Nothing that is written by people or programs is nested as deep; readers recurse. */
const MAX_DEPTH = 256;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Finds what a JSON text has too much of, before it is parsed: at most 100,000 objects, arrays and
 * fields, 500,000 values and 256 levels. Takes no memory and up to 5 nanoseconds a byte, so large texts
 * belong in a thread. Does not care whether the text is JSON.
 *
 * @returns undefined if there is nothing too much
 */
export function faultOfShape(bytes: Buffer): string | undefined {
  let [nodes, values, depth] = [0, 0, 0];
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfText(bytes, at + 1);
    else if (byte === COMMA) values += 1;
    else if (byte === COLON) nodes += 1;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth -= 1;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      nodes += 1;
      depth += 1;
      if (depth > MAX_DEPTH) return `more than ${MAX_DEPTH} levels`;
    }
    if (nodes > MAX_NODES) return `more than ${MAX_NODES} objects, arrays and fields`;
    if (values > MAX_VALUES) return `more than ${MAX_VALUES} values`;
  }
  return undefined;
}

/** Bytes of a text that are looked at one by one: most texts are shorter. */
const SHORT_TEXT_BYTES = 64;

/** Where the quote is that ends a text. */
function endOfText(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const near = at + SHORT_TEXT_BYTES;
    for (; at < near; at += bytes[at] === BACKSLASH ? 2 : 1) {
      if (at >= bytes.length || bytes[at] === QUOTE) return at;
    }
    // Long ones by the system's search, which takes a tenth of the time.
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    let slashes = 0;
    while (quote - slashes > at && bytes[quote - slashes - 1] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
}
