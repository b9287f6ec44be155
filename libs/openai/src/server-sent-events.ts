/** Far above any chunk of an answer; beyond it the upstream speaks something else. */
const MAX_EVENT_BYTES = 8 * 1024 * 1024;
const LF = 10;
const CR = 13;

/**
 * Cuts a stream into its server-sent events, however it was cut into pieces before: the bytes of
 * each, the empty line behind it included (LF, CRLF or CR). Events that came together are one array,
 * never empty; what follows the last empty line comes as an event of its own at the end.
 *
 * @throws Error if an event is larger than 8 MiB
 */
export async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer[]> {
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  // State of the line under way, which goes on over the pieces' ends.
  let isLineEmpty = true;
  let isAfterCr = false;
  let isEndAfterCr = false;
  for await (const piece of body) {
    const events: Buffer[] = [];
    let start = 0;
    const cutAt = (end: number): void => {
      events.push(Buffer.concat([...rest, piece.subarray(start, end)]));
      rest = [];
      restBytes = 0;
      start = end;
    };
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at];
      // An event that ended with CR: a LF behind it is still its own.
      if (isEndAfterCr) {
        isEndAfterCr = false;
        cutAt(byte === LF ? at + 1 : at);
        if (byte === LF) {
          isAfterCr = false;
          continue;
        }
      }
      if (byte === LF && isAfterCr) {
        isAfterCr = false;
      } else if (byte === LF || byte === CR) {
        isAfterCr = byte === CR;
        isEndAfterCr = isLineEmpty && isAfterCr;
        if (isLineEmpty && !isAfterCr) cutAt(at + 1);
        isLineEmpty = true;
      } else {
        isAfterCr = false;
        isLineEmpty = false;
      }
    }
    if (start < piece.length) rest.push(piece.subarray(start));
    restBytes += piece.length - start;
    if (restBytes > MAX_EVENT_BYTES) throw new Error('an event above 8 MiB');
    if (events.length > 0) yield events;
  }
  if (restBytes > 0) yield [Buffer.concat(rest)];
}

/** The text that an event carries in its `data` lines; empty for a comment. */
export function dataOf(event: Buffer): string {
  const lines = event.toString('utf8').split(/\r\n|\r|\n/);
  const data = lines.filter((line) => line.startsWith('data:'));
  return data.map((line) => line.slice('data:'.length).replace(/^ /, '')).join('\n');
}
