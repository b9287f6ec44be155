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
  private isInText = false;
  private isEscaped = false;

  /**
   * Takes note of the next bytes.
   *
   * @returns what there is too much of, if there is
   */
  add(bytes: Uint8Array): string | undefined {
    const end = bytes.length;
    for (let at = 0; at < end; at += 1) {
      const byte = bytes[at]!;
      if (this.isInText) {
        if (this.isEscaped) this.isEscaped = false;
        else if (byte === BACKSLASH) this.isEscaped = true;
        else if (byte === QUOTE) this.isInText = false;
      } else if (byte === QUOTE) this.isInText = true;
      else if (byte === COMMA) this.values += 1;
      else if (byte === COLON) this.nodes += 1;
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.nodes += 1;
        this.depth += 1;
        if (this.depth > MAX_DEPTH) return `more than ${MAX_DEPTH} levels`;
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) this.depth -= 1;
    }
    if (this.nodes > MAX_NODES) return `more than ${MAX_NODES} objects, arrays and fields`;
    return this.values > MAX_VALUES ? `more than ${MAX_VALUES} values` : undefined;
  }
}
