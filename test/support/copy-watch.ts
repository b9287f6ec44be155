/**
 * A place in what a client sends during one COPY: in its header, in its rows, in its trailer, inside
 * CopyDone, or behind that, while the answer is on its way.
 */
export const COPY_POINTS = ['header', 'row', 'trailer', 'done', 'answer'] as const;
export type CopyPoint = (typeof COPY_POINTS)[number];

/** Where to strike: a point, and how many bytes of the COPY pass before it (header and rows). */
export interface Strike {
  readonly point: CopyPoint;
  /** `header`: 1 to 23, CopyData's own 5 bytes among them; `row`: 24 and more. */
  readonly afterBytes: number;
}

const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const QUERY = 0x51;

/** Reads a client's messages as they pass, piece by piece, and finds the byte to strike at. */
export class CopyWatch {
  #isStarted = false;
  readonly #head: number[] = [];
  #type = 0;
  #bodyLeft = 0;
  #copyBytes = 0;

  /** @returns how many bytes of this piece are before the strike; undefined if it is not in it */
  feed(piece: Buffer, strike: Strike | undefined): number | undefined {
    let found: number | undefined;
    let at = 0;
    while (at < piece.length) {
      const start = at;
      const isNew = this.#bodyLeft === 0;
      at = isNew ? this.#readHead(piece, at) : Math.min(piece.length, at + this.#bodyLeft);
      if (!isNew) this.#bodyLeft -= at - start;
      if (strike && found === undefined) found = this.#find(strike, start, at);
      if (this.#type === COPY_DATA) this.#copyBytes += at - start;
    }
    return found;
  }

  /** Bytes that came of a message whose header is not complete count as its own. */
  #readHead(piece: Buffer, start: number): number {
    const size = this.#isStarted ? 5 : 4;
    let at = start;
    while (this.#head.length < size && at < piece.length) this.#head.push(piece[at++]!);
    if (this.#head.length < size) return at;
    const head = Buffer.from(this.#head.splice(0));
    // The very first message of a connection has no type.
    this.#type = this.#isStarted ? head[0]! : 0;
    this.#bodyLeft = head.readInt32BE(size - 4) - 4;
    this.#isStarted = true;
    if (this.#type === QUERY) this.#copyBytes = 0;
    return at;
  }

  #find({ point, afterBytes }: Strike, start: number, end: number): number | undefined {
    const isData = this.#type === COPY_DATA;
    const isDone = this.#type === COPY_DONE && this.#bodyLeft === 0;
    switch (point) {
      case 'header':
      case 'row': {
        const wanted = afterBytes - this.#copyBytes;
        return isData && wanted > 0 && wanted <= end - start ? start + wanted : undefined;
      }
      case 'trailer':
        return isDone ? Math.max(0, start - 1) : undefined;
      case 'done':
        return isDone ? start + 3 : undefined;
      case 'answer':
        return isDone ? end : undefined;
    }
  }
}
