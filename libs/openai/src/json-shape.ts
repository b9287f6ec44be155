/**
 * Limits of one body. A conversation of 5,000 messages with tool calls has some 80,000 objects,
 * arrays and keys; the largest `input` of embeddings 300,000 numbers. Each object takes some 60
 * bytes of memory for two bytes of text, and time to make and check it.
 */
const MAX_NODES = 100_000;
const MAX_VALUES = 500_000;

/** No real content is nested as deeply, and readers recurse. */
const MAX_DEPTH = 256;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Finds an excess in a JSON text before it is parsed: at most 100,000 objects, arrays and fields,
 * 500,000 values and 256 levels. Takes no memory and up to 5 nanoseconds a byte, so large texts
 * should be checked in a thread. It does not check that the text is JSON.
 *
 * @returns undefined without an excess
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

/** Bytes of a text that are read one by one: most texts are shorter. */
const SHORT_TEXT_BYTES = 64;

/** Position of the quote that ends a text. */
function endOfText(bytes: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const near = at + SHORT_TEXT_BYTES;
    for (; at < near; at += bytes[at] === BACKSLASH ? 2 : 1) {
      if (at >= bytes.length || bytes[at] === QUOTE) return at;
    }
    // For long texts the system's search takes a tenth of the time.
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    let slashes = 0;
    while (quote - slashes > at && bytes[quote - slashes - 1] === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return quote;
    at = quote + 1;
  }
}
