import { hostname } from 'node:os';
import { basename } from 'node:path';

/** Marks a file that is being written, or whose writer was killed. */
export const OPEN_ENDING = '.open';

const UNFINISHED = /\.open$/;
/** Of entries that were set aside: lines, or rows as bytes. */
const SET_ASIDE = /\.(ndjson|wal)(\.open)?$/;
const SEGMENT = /\.wal(\.open)?$/;
/** Two hyphens end the ledger's name, which has none of its own like that. */
const OF_LEDGER = /^(?:spill|dead-letters)-(.+?)--(?!-)/;
const NAMES = /^(spill|dead-letters)-/;

/** What a file of a ledger is: `spill`, `dead-letters`. @internal */
export type FileKind = 'spill' | 'dead-letters';

/**
 * Beginning of a file's name: kind, ledger, host, pid and boot time, so that no two processes want
 * the same.
 *
 * @internal
 */
export function fileNameOf(kind: FileKind, ledger: string): string {
  return `${kind}-${plain(ledger)}--${ownName()}`;
}

/** Asked again, the second may be another: the wall clock may be set. */
let ownBoot: string | undefined;

function ownName(): string {
  ownBoot ??= new Date(Date.now() - process.uptime() * 1000).toISOString().slice(0, 19);
  return [hostname(), process.pid, ownBoot].map(plain).join('-');
}

function plain(part: unknown): string {
  return String(part).replaceAll(/[^A-Za-z0-9_.]+/g, '-');
}

/** Whether a file of this name holds spilled entries or dead letters. @internal */
export function isSetAside(path: string): boolean {
  return SET_ASIDE.test(path);
}

/** Whether a file of this name holds rows as bytes. @internal */
export function isSegment(path: string): boolean {
  return SEGMENT.test(path);
}

/** Whether the file's writer is at work still, or was killed at it. @internal */
export function isUnfinished(path: string): boolean {
  return UNFINISHED.test(path);
}

/** The path of a file when its writer is done with it. @internal */
export function finishedPath(path: string): string {
  return path.replace(UNFINISHED, '');
}

/**
 * Whether a file is of another ledger, by its name. Names of earlier versions don't say where the
 * ledger's name ends: those count as its own if they can be.
 *
 * @internal
 */
export function isOfOther(path: string, ledger: string): boolean {
  const name = basename(path);
  const kind = NAMES.exec(name)?.[0];
  if (kind === undefined) return false;
  const own = OF_LEDGER.exec(name)?.[1];
  return own === undefined ? !name.startsWith(`${kind}${plain(ledger)}-`) : own !== plain(ledger);
}

/** Whether a file holds what a stop could not write. @internal */
export function isSpill(path: string): boolean {
  const name = basename(path);
  return isSetAside(name) && name.startsWith('spill-');
}

/**
 * Whether the file's writer may still be at work: it is unfinished, and its process is alive. That
 * of another host counts as alive, since nobody can tell from here.
 *
 * @internal
 */
export function isBeingWritten(path: string): boolean {
  if (!isUnfinished(path)) return false;
  const name = basename(path);
  const host = plain(hostname());
  const start = name.indexOf(`-${host}-`);
  if (start < 0) return true;
  const writer = name.slice(start + 1);
  const pid = Number.parseInt(writer.slice(host.length + 1), 10);
  // In a container every process has the same pid, and the one before this one is gone.
  if (pid === process.pid) return writer.startsWith(`${ownName()}-`);
  return isAlive(pid);
}

/** Whether a process of this machine runs. @internal */
export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
