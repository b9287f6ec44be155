import { readFileSync, readlinkSync } from 'node:fs';
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

/** This process. @internal */
export function ownIdentity(): ProcessIdentity {
  const bootId = readText('/proc/sys/kernel/random/boot_id')?.trim();
  const startTicks = readStat('self')?.startTicks;
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
export function isKnownGone(process: ProcessIdentity, own = ownIdentity()): boolean {
  const { bootId, pidNamespace, pid, startTicks } = process;
  if (bootId === undefined || pidNamespace === undefined) return false;
  if (bootId !== own.bootId || pidNamespace !== own.pidNamespace || !isOwnProc()) return false;
  const found = readStat(pid);
  if (found === undefined || ENDED.has(found.state)) return true;
  return startTicks !== undefined && found.startTicks !== startTicks;
}

/** Whether pids of `/proc` are those of this process's namespace, as after a mount of its own. */
function isOwnProc(): boolean {
  try {
    return readlinkSync('/proc/self') === String(ownPid);
  } catch {
    return false;
  }
}

function readStat(pid: number | 'self'): { state: string; startTicks: string } | undefined {
  const text = readText(`/proc/${pid}/stat`);
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
