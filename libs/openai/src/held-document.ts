/** Far above any answer of text; one with images may have more. */
const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024;
/** The end of an answer that is too long to keep. Its usage is there: all vendors write it last. */
const TAIL_BYTES = 64 * 1024;
/** Of one usage object; more closing brackets are not tried. */
const MAX_BRACKETS = 16;

/** Keeps an answer that is one document until its end; of one that there is no room for, its tail. */
export class HeldDocument {
  private pieces: Uint8Array[] = [];
  private bytes = 0;
  private isTail = false;

  /** @param hold asks for room for some bytes more */
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

  /** What was kept, which is forgotten with this: all of it, or an object with the usage at its end. */
  take(): string {
    const text = Buffer.concat(this.pieces).toString();
    this.pieces = [];
    return this.isTail ? usageAtEnd(text) : text;
  }
}

/** The last usage object of a text that is cut at its beginning, in an object of its own; or empty. */
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
