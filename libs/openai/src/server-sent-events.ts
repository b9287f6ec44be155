/** Far above any chunk of an answer; a larger event means a different protocol. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;
const LF = 10;
const CR = 13;
const PLAIN_BEGIN = Buffer.from('data: ');

/**
 * Splits a stream into its server-sent events, for any division into pieces: the bytes of each,
 * including the empty line after it (LF, CRLF or CR).
 */
export class EventSplitter {
  private rest: Uint8Array[] = [];
  private restBytes = 0;
  // State of the current line, which may continue in the next piece.
  private isLineEmpty = true;
  private isAfterCr = false;
  private isEndAfterCr = false;

  /**
   * Takes the next piece.
   *
   * @returns the events that are now complete, in order
   * @throws Error if an event is larger than 8 MiB
   */
  push(piece: Uint8Array): Buffer[] {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    const hasCr = this.isAfterCr || bytes.includes(CR);
    const ends = hasCr ? this.endsIn(piece) : this.endsWithoutCr(bytes);
    let start = 0;
    const events = ends.map((end) => {
      const part = bytes.subarray(start, end);
      const event = Buffer.concat([...this.rest, part]);
      this.rest = [];
      this.restBytes = 0;
      start = end;
      return event;
    });
    if (start < bytes.length) this.rest.push(bytes.subarray(start));
    this.restBytes += bytes.length - start;
    if (this.restBytes > MAX_EVENT_BYTES) throw new Error('an event above 8 MiB');
    return events;
  }

  /** Ends of events in a piece with LF only, like nearly all: found by the system's fast search. */
  private endsWithoutCr(bytes: Buffer): number[] {
    const ends: number[] = [];
    let lineStart = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, lineStart)) {
      if (at === lineStart && this.isLineEmpty) ends.push(at + 1);
      this.isLineEmpty = true;
      lineStart = at + 1;
    }
    if (lineStart < bytes.length) this.isLineEmpty = false;
    return ends;
  }

  private endsIn(piece: Uint8Array): number[] {
    const ends: number[] = [];
    const cutAt = (end: number): void => void ends.push(end);
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at];
      // An event ended with CR: a following LF still belongs to it.
      if (this.isEndAfterCr) {
        this.isEndAfterCr = false;
        cutAt(byte === LF ? at + 1 : at);
        if (byte === LF) {
          this.isAfterCr = false;
          continue;
        }
      }
      if (byte === LF && this.isAfterCr) {
        this.isAfterCr = false;
      } else if (byte === LF || byte === CR) {
        this.isAfterCr = byte === CR;
        this.isEndAfterCr = this.isLineEmpty && this.isAfterCr;
        if (this.isLineEmpty && !this.isAfterCr) cutAt(at + 1);
        this.isLineEmpty = true;
      } else {
        this.isAfterCr = false;
        this.isLineEmpty = false;
      }
    }
    return ends;
  }

  /** The rest after the last empty line, as a separate event; undefined if there is none. */
  end(): Buffer | undefined {
    const left = this.restBytes > 0 ? Buffer.concat(this.rest) : undefined;
    this.rest = [];
    this.restBytes = 0;
    return left;
  }
}

/** The text in an event's `data` lines; empty for a comment. */
export function dataOf(event: Buffer): string {
  // Nearly all events are one such line.
  const isPlain = event.indexOf(LF) === event.length - 2 && !event.includes(CR);
  if (isPlain && event.subarray(0, PLAIN_BEGIN.length).equals(PLAIN_BEGIN)) {
    return event.toString('utf8', PLAIN_BEGIN.length, event.length - 2);
  }
  // A stream may begin with a byte order mark; no other event does.
  const text = event.toString('utf8').replace(/^\ufeff/, '');
  const data = text.split(/\r\n|\r|\n/).filter((line) => line.startsWith('data:'));
  return data.map((line) => line.slice('data:'.length).replace(/^ /, '')).join('\n');
}
