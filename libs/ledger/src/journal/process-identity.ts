import { readFileSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { pid as ownPid } from 'node:process';
import { ownAuthor, type SegmentAuthor } from '../segments/segment-description.js';

/** Identity of a process, unique across all machines. @internal */
export interface ProcessIdentity extends SegmentAuthor {
  /** Id of the machine's boot; only on Linux, like the next field. */
  readonly bootId?: string;
  /** Start of the process in clock ticks since the boot. */
  readonly startTicks?: string;
}

/** States of an ended process that was not waited for. Source: proc(5), /proc/pid/stat. */
const ENDED = new Set(['Z', 'X', 'x']);

let self: ProcessIdentity | undefined;

/** Identity of this process, read once. @internal */
export function ownIdentity(): ProcessIdentity {
  return (self ??= readIdentity());
}

function readIdentity(): ProcessIdentity {
  const bootId = readText('/proc/sys/kernel/random/boot_id')?.trim();
  const startTicks = parseStat(readText('/proc/self/stat'))?.startTicks;
  return {
    ...ownAuthor(),
    ...(bootId === undefined ? {} : { bootId }),
    ...(startTicks === undefined ? {} : { startTicks }),
  };
}

/**
 * Whether a process is known to have ended. False if this can't be determined from here. The
 * process may have run on another machine, before the last boot, in another pid namespace, or not
 * on Linux. `/proc` may also show another pid namespace, with other pids.
 *
 * A pid alone is not enough: in a container it is always 1, and a machine reuses it.
 *
 * @internal
 */
export async function isKnownGone(process: ProcessIdentity, own = ownIdentity()): Promise<boolean> {
  const { bootId, pidNamespace, pid, startTicks } = process;
  if (bootId === undefined || pidNamespace === undefined) return false;
  if (bootId !== own.bootId || pidNamespace !== own.pidNamespace) return false;
  if (!(await isOwnProc())) return false;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(noneIfEnded);
  if (stat === undefined) return false;
  const found = parseStat(stat);
  if (found === undefined || ENDED.has(found.state)) return true;
  return startTicks !== undefined && found.startTicks !== startTicks;
}

/** Empty if there is no such process; undefined if nothing can be read now, for example with too many open files. */
function noneIfEnded(error: NodeJS.ErrnoException): string | undefined {
  return error.code === 'ENOENT' || error.code === 'ESRCH' ? '' : undefined;
}

/**
 * Whether `/proc` shows the pids of this process's namespace, for example after a separate mount.
 */
async function isOwnProc(): Promise<boolean> {
  const pid = await readlink('/proc/self').catch(() => undefined);
  return pid === String(ownPid);
}

function parseStat(text: string | undefined): { state: string; startTicks: string } | undefined {
  if (text === undefined) return undefined;
  // The program's name is in parentheses and may contain any character.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
