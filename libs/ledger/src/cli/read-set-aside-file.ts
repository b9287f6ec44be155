import type { FileHandle } from 'node:fs/promises';
import { isUnfinished } from '../files/file-names.js';
import { openRegularFile } from '../files/open-regular-file.js';
import type { SetAsideLine } from '../files/set-aside-line.js';

const LINE_BREAK = 0x0a;
/**
 * A longer line is not valid. The longest has 18 texts of 8 KiB, whose characters may each take six
 * bytes in JSON: less than 1 MiB.
 */
const MAX_LINE_BYTES = 4 * 1_048_576;

/**
 * One line of a file: its content, or why it has none. `half` is the incomplete last line of an
 * unfinished file. `unreadable` is any other line that does not have this format, also the
 * incomplete last line of a finished file, which lost a part afterwards.
 *
 * @internal
 */
export type ReadLine =
  | {
      readonly kind: 'line';
      readonly number: number;
      readonly bytes: number;
      readonly line: SetAsideLine;
    }
  | { readonly kind: 'half' | 'unreadable'; readonly number: number };

/**
 * Reads a file of spilled entries or dead letters bit by bit, in order. Whatever its bytes are,
 * nothing is thrown for their sake, and no more than a few MiB of it are in memory.
 *
 * @throws the file system's error
 * @internal
 */
export async function* readSetAsideFile(path: string): AsyncGenerator<ReadLine, void> {
  const handle = await openRegularFile(path);
  try {
    const mayBeHalf = isUnfinished(path) && !(await endsWithLineBreak(handle));
    let number = 0;
    let before: ReadLine | undefined;
    for await (const bytes of linesOf(handle)) {
      number += 1;
      if (before !== undefined) yield before;
      before = parseLine(bytes, number);
    }
    if (before === undefined) return;
    yield before.kind === 'unreadable' && mayBeHalf ? { kind: 'half', number } : before;
  } finally {
    await handle.close();
  }
}

/**
 * Lines as bytes; undefined for one that is too long. Node's readline would also break a line at a
 * lone CR or U+2028, which JSON may hold.
 */
async function* linesOf(handle: FileHandle): AsyncGenerator<Buffer | undefined, void> {
  let rest: Buffer[] = [];
  let length = 0;
  const add = (piece: Buffer): void => {
    length += piece.length;
    if (length > MAX_LINE_BYTES) rest = [];
    else rest.push(piece);
  };
  for await (const chunk of chunksOf(handle)) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, from)) {
      add(chunk.subarray(from, at));
      yield length > MAX_LINE_BYTES ? undefined : Buffer.concat(rest);
      rest = [];
      length = 0;
      from = at + 1;
    }
    add(chunk.subarray(from));
  }
  if (length > 0) yield length > MAX_LINE_BYTES ? undefined : Buffer.concat(rest);
}

function chunksOf(handle: FileHandle): AsyncIterable<Buffer> {
  return handle.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>;
}

function parseLine(bytes: Buffer | undefined, number: number): ReadLine {
  if (bytes === undefined) return { kind: 'unreadable', number };
  try {
    // Without this check, invalid UTF-8 would be read as a text that was never recorded.
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const line = JSON.parse(text) as SetAsideLine | null;
    if (!isLine(line)) return { kind: 'unreadable', number };
    return { kind: 'line', number, bytes: bytes.length, line };
  } catch {
    return { kind: 'unreadable', number };
  }
}

/** The file may be foreign, so the types of all used fields are checked; some may be missing. */
function isLine(line: SetAsideLine | null): line is SetAsideLine {
  return (
    line?.v === 1 &&
    isTextOrNothing(line.uuid) &&
    isTextOrNothing(line.reason) &&
    isTextOrNothing(line.queuedAt) &&
    typeof line.entry === 'object' &&
    line.entry !== null &&
    !Array.isArray(line.entry)
  );
}

function isTextOrNothing(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string';
}

async function endsWithLineBreak(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer[0] === LINE_BREAK;
}

/** Lines of a file, a half one at the end left out. @internal */
export async function countLines(path: string): Promise<number> {
  const handle = await openRegularFile(path);
  try {
    let count = 0;
    for await (const chunk of chunksOf(handle)) {
      for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, at + 1)) {
        count++;
      }
    }
    return count;
  } finally {
    await handle.close();
  }
}
