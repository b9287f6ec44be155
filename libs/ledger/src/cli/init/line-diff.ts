import type { FileChange } from './app-files.interface.js';

/** Unchanged lines around a change, like in `diff -u`. */
const CONTEXT = 3;

interface Line {
  readonly mark: ' ' | '+' | '-';
  readonly text: string;
}

/**
 * A change in the style of `diff -u`, for people: hunks without line numbers.
 *
 * @returns lines without line ends
 * @internal
 */
export function lineDiff({ path, before, after }: FileChange): string[] {
  const lines = compare(split(before ?? ''), split(after));
  const shown = lines.map((_, index) =>
    lines.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ mark }) => mark !== ' '),
  );
  const body = lines.flatMap(({ mark, text }, index) => {
    if (!shown[index]) return [];
    return index > 0 && !shown[index - 1] ? ['@@', mark + text] : [mark + text];
  });
  return [`--- ${before === undefined ? '/dev/null' : path}`, `+++ ${path}`, ...body];
}

function split(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** By the longest common subsequence; files of an application's wiring are short. */
function compare(before: readonly string[], after: readonly string[]): Line[] {
  const width = after.length + 1;
  // Length of the longest common subsequence from i in `before` and j in `after`.
  const common = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      common[i * width + j] =
        before[i] === after[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!);
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const isSame = i < before.length && before[i] === after[j];
    const isRemoved =
      j >= after.length ||
      (i < before.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!);
    if (isSame) {
      lines.push({ mark: ' ', text: before[i++]! });
      j += 1;
    } else if (isRemoved) lines.push({ mark: '-', text: before[i++]! });
    else lines.push({ mark: '+', text: after[j++]! });
  }
  return lines;
}
