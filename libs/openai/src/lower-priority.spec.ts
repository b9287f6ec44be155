import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

/** Built, since a process of its own knows of no TypeScript. */
const thread = createRequire(import.meta.url).resolve('@app/openai/large-body-thread');
const MODULE = pathToFileURL(join(dirname(thread), 'lower-priority.js')).href;

/** Priorities that a process has before and after, if `nice` has made it `niceness` steps nicer. */
async function loweredFrom(niceness: number): Promise<[before: number, after: number]> {
  const program =
    `import { getPriority } from 'node:os'; import { lowerPriority } from '${MODULE}';` +
    `const before = getPriority(); lowerPriority(); console.log(JSON.stringify([before, getPriority()]));`;
  const node = [process.execPath, '--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)('nice', ['-n', String(niceness), ...node]);
  return JSON.parse(stdout) as [number, number];
}

// Only a privileged process may take back its niceness: to try would end the thread.
it.runIf(process.platform === 'linux').each([0, 15, 19])(
  'A thread never gets a higher priority than its process, which is %i steps nicer',
  async (niceness) => {
    const [before, after] = await loweredFrom(niceness);
    expect(after).toBe(Math.min(before + 10, 19));
  },
);
