/** Far above any text answer; one with images may be larger. */
const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;
/** Kept end of an answer that is too long. It contains the usage, which all vendors write last. */
const TAIL_BYTES = 64 * 1024;
/** Maximum closing brackets tried for one usage object. */
const MAX_BRACKETS = 16;

/** Keeps an answer that is one document until its end; only its tail if there is no room. */
export class HeldDocument {
  private pieces: Uint8Array[] = [];
  private bytes = 0;
  private isTail = false;

  /** @param hold requests room for more bytes */
  constructor(private readonly hold: (bytes: number) => boolean) {}

  add(piece: Uint8Array): void {
    this.bytes += piece.length;
    this.pieces.push(piece);
    this.isTail ||= this.bytes > MAX_DOCUMENT_BYTES || !this.hold(piece.length);
    if (!this.isTail) return;
    const tail = Buffer.concat(this.pieces).subarray(-TAIL_BYTES);
    // A copy: a part of a buffer keeps all of it.
    this.pieces = [Buffer.from(tail)];
  }

  /** Returns and forgets the kept text: all of it, or an object with the usage at its end. */
  take(): string {
    const text = Buffer.concat(this.pieces).toString();
    this.pieces = [];
    return this.isTail ? usageAtEnd(text) : text;
  }
}

/** The last usage object of a text whose beginning was cut, in a separate object; or empty. */
export function usageAtEnd(text: string): string {
  const starts = [...text.matchAll(/"usage"\s*:\s*(?=\{)/g)];
  const last = starts.at(-1);
  if (!last) return '';
  const begin = last.index + last[0].length;
  let end = begin;
  for (let tries = 0; tries < MAX_BRACKETS; tries += 1) {
    end = text.indexOf('}', end) + 1;
    if (end === 0) return '';
    const found = `{"usage":${text.slice(begin, end)}}`;
    if (isJson(found)) return found;
  }
  return '';
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
