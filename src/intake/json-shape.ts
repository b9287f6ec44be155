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
 * Counts what a JSON text consists of while it arrives, before it is parsed: about a nanosecond a
 * byte, and no memory. Does not care whether it is JSON.
 */
export class JsonShape {
  private nodes = 0;
  private values = 0;
  private depth = 0;
  private deepest = 0;
  private isInText = false;
  private isEscaped = false;
  /** In the piece at hand. */
  private nextEscape = -1;

  /**
   * Takes note of the next bytes.
   *
   * @returns what there is too much of, if there is
   */
  add(bytes: Buffer): string | undefined {
    const end = bytes.length;
    let at = 0;
    this.nextEscape = -1;
    while (at < end) {
      if (this.isInText) at = this.skipText(bytes, at);
      for (; at < end && !this.isInText; at += 1) this.note(bytes[at]!);
      if (this.deepest > MAX_DEPTH) return `more than ${MAX_DEPTH} levels`;
    }
    if (this.nodes > MAX_NODES) return `more than ${MAX_NODES} objects, arrays and fields`;
    return this.values > MAX_VALUES ? `more than ${MAX_VALUES} values` : undefined;
  }

  /** Of a byte outside of texts. */
  private note(byte: number): void {
    if (byte === QUOTE) this.isInText = true;
    else if (byte === COMMA) this.values += 1;
    else if (byte === COLON) this.nodes += 1;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      this.nodes += 1;
      this.depth += 1;
      this.deepest = Math.max(this.deepest, this.depth);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.depth -= 1;
  }

  /** Goes to the end of the text; by the machine's own search, since texts are most of a body. */
  private skipText(bytes: Buffer, from: number): number {
    let at = from;
    if (this.isEscaped) {
      this.isEscaped = false;
      at += 1;
    }
    for (;;) {
      const quote = indexOrEnd(bytes, QUOTE, at);
      while (this.escapeAfter(bytes, at) < quote) {
        at = this.nextEscape + 2;
        // What is escaped is in the next piece.
        this.isEscaped = at > bytes.length;
      }
      if (at > quote && quote < bytes.length) continue;
      this.isInText = quote === bytes.length;
      return Math.min(quote + 1, bytes.length);
    }
  }

  /** Where the next backslash is. Looked for once, and not again in each of many short texts. */
  private escapeAfter(bytes: Buffer, at: number): number {
    if (this.nextEscape < at) this.nextEscape = indexOrEnd(bytes, BACKSLASH, at);
    return this.nextEscape;
  }
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const found = bytes.indexOf(byte, from);
  return found < 0 ? bytes.length : found;
}
