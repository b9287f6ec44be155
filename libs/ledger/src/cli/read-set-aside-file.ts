import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { SetAsideLine } from '../files/set-aside-line.js';
import { isUnfinished } from './set-aside-files.js';

const LINE_BREAK = 0x0a;

/**
 * One line of a file: what it says, or why it says nothing. `half` is the last line of an unfinished
 * file, which its writer did not come to the end of; `unreadable` any other that is no line of this
 * format. A finished file has no half line: one that ends in the midst of a line lost a part since.
 *
 * @internal
 */
export type ReadLine =
  | { readonly kind: 'line'; readonly number: number; readonly line: SetAsideLine }
  | { readonly kind: 'half' | 'unreadable'; readonly number: number };

/**
 * Reads a file of spilled entries or dead letters bit by bit, in order.
 *
 * @throws the file system's error
 * @internal
 */
export async function* readSetAsideFile(path: string): AsyncGenerator<ReadLine, void> {
  const mayBeHalf = isUnfinished(path) && !(await endsWithLineBreak(path));
  let number = 0;
  let before: ReadLine | undefined;
  for await (const text of linesOf(path)) {
    number += 1;
    if (before !== undefined) yield before;
    before = parseLine(text, number);
  }
  if (before === undefined) return;
  yield before.kind === 'unreadable' && mayBeHalf ? { kind: 'half', number } : before;
}

/** Node's readline would also break a line at a lone CR or U+2028, which JSON may hold. */
async function* linesOf(path: string): AsyncGenerator<string, void> {
  let rest: Buffer[] = [];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, at)]).toString();
      rest = [];
      from = at + 1;
    }
    rest.push(chunk.subarray(from));
  }
  const last = Buffer.concat(rest).toString();
  if (last !== '') yield last;
}

function parseLine(text: string, number: number): ReadLine {
  try {
    const line = JSON.parse(text) as SetAsideLine | null;
    const isLine = line?.v === 1 && typeof line.entry === 'object' && line.entry !== null;
    return isLine ? { kind: 'line', number, line } : { kind: 'unreadable', number };
  } catch {
    return { kind: 'unreadable', number };
  }
}

async function endsWithLineBreak(path: string): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size === 0) return true;
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer[0] === LINE_BREAK;
  } finally {
    await handle.close();
  }
}

/** Lines of a file, a half one at the end left out. @internal */
export async function countLines(path: string): Promise<number> {
  let count = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, at + 1))
      count++;
  }
  return count;
}
