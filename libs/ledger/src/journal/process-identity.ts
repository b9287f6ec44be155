import { readFileSync } from 'node:fs';
import { readFile, readlink } from 'node:fs/promises';
import { pid as ownPid } from 'node:process';
import { ownAuthor, type SegmentAuthor } from '../segments/segment-description.js';

/** A process, such that no other one of any machine passes for it. @internal */
export interface ProcessIdentity extends SegmentAuthor {
  /** Of the machine's boot; only on Linux, like the next one. */
  readonly bootId?: string;
  /** When the process began, in clock ticks since the boot. */
  readonly startTicks?: string;
}

/** States of a process that has ended and was not waited for. Source: proc(5), /proc/pid/stat. */
const ENDED = new Set(['Z', 'X', 'x']);

let self: ProcessIdentity | undefined;

/** This process: read once. @internal */
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
 * Whether a process is known to have ended. False where nobody can tell from here: it ran on another
 * machine, before the last boot, in another pid namespace, or not on Linux; or `/proc` shows the processes of
 * another pid namespace, whose pids are others.
 *
 * A pid alone says nothing: in a container it is 1 each time, and a machine uses it again.
 *
 * @internal
 */
export async function isKnownGone(process: ProcessIdentity, own = ownIdentity()): Promise<boolean> {
  const { bootId, pidNamespace, pid, startTicks } = process;
  if (bootId === undefined || pidNamespace === undefined) return false;
  if (bootId !== own.bootId || pidNamespace !== own.pidNamespace) return false;
  if (!(await isOwnProc())) return false;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const found = parseStat(stat);
  if (found === undefined || ENDED.has(found.state)) return true;
  return startTicks !== undefined && found.startTicks !== startTicks;
}

/** Whether pids of `/proc` are those of this process's namespace, as after a mount of its own. */
async function isOwnProc(): Promise<boolean> {
  const pid = await readlink('/proc/self').catch(() => undefined);
  return pid === String(ownPid);
}

function parseStat(text: string | undefined): { state: string; startTicks: string } | undefined {
  if (text === undefined) return undefined;
  // The name of the program stands in parentheses and may hold any character.
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
