import { hostname } from 'node:os';
import { basename } from 'node:path';

/** Ending of a file that is being written, or whose writer was killed. */
export const OPEN_ENDING = '.open';

const UNFINISHED = /\.open$/;
/** Files of entries that were set aside: lines, or rows as bytes. */
const SET_ASIDE = /\.(ndjson|wal)(\.open)?$/;
const SEGMENT = /\.wal(\.open)?$/;
/** Two hyphens end the ledger's name, which contains no two hyphens itself. */
const OF_LEDGER = /^(?:spill|dead-letters)-(.+?)--(?!-)/;
const NAMES = /^(spill|dead-letters)-/;

/** The kind of a ledger's file: `spill`, `dead-letters`. @internal */
export type FileKind = 'spill' | 'dead-letters';

/**
 * Prefix of a file's name: kind, ledger, host, pid and boot time, so that no two processes use the
 * same.
 *
 * @internal
 */
export function fileNameOf(kind: FileKind, ledger: string): string {
  return `${kind}-${plain(ledger)}--${ownName()}`;
}

/** Kept, because the second may differ later: the wall clock may be set. */
let ownBoot: string | undefined;

function ownName(): string {
  ownBoot ??= new Date(Date.now() - process.uptime() * 1000).toISOString().slice(0, 19);
  return [hostname(), process.pid, ownBoot].map(plain).join('-');
}

function plain(part: unknown): string {
  return String(part).replaceAll(/[^A-Za-z0-9_.]+/g, '-');
}

/** Whether a file of this name contains spilled entries or dead letters. @internal */
export function isSetAside(path: string): boolean {
  return SET_ASIDE.test(path);
}

/** Whether a file of this name contains rows as bytes. @internal */
export function isSegment(path: string): boolean {
  return SEGMENT.test(path);
}

/** Whether the file's writer is still running, or was killed while writing. @internal */
export function isUnfinished(path: string): boolean {
  return UNFINISHED.test(path);
}

/** The path of a file after its writer has finished. @internal */
export function finishedPath(path: string): string {
  return path.replace(UNFINISHED, '');
}

/**
 * Whether a file belongs to another ledger, by its name. Names of earlier versions don't show where
 * the ledger's name ends: those count as its own if possible.
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

/** Whether a file contains entries that a stop could not write. @internal */
export function isSpill(path: string): boolean {
  const name = basename(path);
  return isSetAside(name) && name.startsWith('spill-');
}

/**
 * Whether the file's writer may still be running: the file is unfinished, and its process is alive.
 * A process on another host counts as alive, because it can't be checked from here.
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
  // In a container every process has the same pid, and the previous one has ended.
  if (pid === process.pid) return writer.startsWith(`${ownName()}-`);
  return isAlive(pid);
}

/** Whether a process of this machine is running. @internal */
export function isAlive(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
