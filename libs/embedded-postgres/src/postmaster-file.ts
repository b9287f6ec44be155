import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Pause between two looks at the file. */
const POLL_MS = 10;
/** A server whose watchdog has yet to tell it to stop still reads `ready`, for some milliseconds. */
const STEADY_MS = 250;
/** SSLRequest of the protocol: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** What a server says of itself in `postmaster.pid`. */
export interface Postmaster {
  readonly pid: number;
  /** Undefined while the server has not yet written it. */
  readonly port: number | undefined;
  /** `starting`, `ready`, `standby` or `stopping`; empty until it is written. */
  readonly status: string;
}

/**
 * Reads `postmaster.pid`; undefined if there is none or it is empty.
 * Lines: https://www.postgresql.org/docs/18/storage-file-layout.html and miscadmin.h
 */
export async function readPostmaster(dataDir: string): Promise<Postmaster | undefined> {
  const text = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]) || undefined, status: (lines[7] ?? '').trim() };
}

/**
 * Deals with what an earlier server left: waits until one that is stopping is gone, removes the
 * file of one that is dead (its pid may belong to a stranger by now), or finds a live one.
 *
 * @param timeoutMs longest wait for a server that starts or stops
 * @returns the live server of this data directory, to be used as it is, or undefined: start one
 * @throws Error if a server neither gets ready nor goes away in time
 */
export async function findLivePostmaster(
  dataDir: string,
  timeoutMs: number,
): Promise<Required<Postmaster> | undefined> {
  const deadline = Date.now() + timeoutMs;
  let readySince: number | undefined;
  for (;;) {
    const found = await readPostmaster(dataDir);
    if (!found) return undefined;
    if (!(await isServerOf(found.pid, dataDir))) {
      await rm(join(dataDir, 'postmaster.pid'), { force: true });
      return undefined;
    }
    if (found.status !== 'ready') readySince = undefined;
    else readySince ??= Date.now();
    const isSteady = readySince !== undefined && Date.now() - readySince >= STEADY_MS;
    if (isSteady && (await hasAnswered(found.port, deadline - Date.now()))) {
      // The postmaster handles pending signals before connections, so a stop is in the file by now.
      const now = await readPostmaster(dataDir);
      if (now?.pid === found.pid && now.status === 'ready') return { ...now, port: now.port ?? 0 };
    }
    if (Date.now() > deadline) {
      throw new Error(`a server (pid ${found.pid}) holds ${dataDir} and is ${found.status}`);
    }
    await delay(POLL_MS);
  }
}

/**
 * Whether a server answers on this port in time. On a busy machine its postmaster may run only long
 * after it was sent a signal. Never rejects.
 */
async function hasAnswered(port: number | undefined, timeoutMs: number): Promise<boolean> {
  if (port === undefined) return false;
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write(SSL_REQUEST);
    const signal = AbortSignal.timeout(Math.max(timeoutMs, 0));
    const answer = once(socket, 'data', { signal }).then(() => true);
    const end = once(socket, 'close', { signal }).then(() => false);
    return await Promise.race([answer, end]);
  } catch {
    return false;
  } finally {
    socket.on('error', () => {}).destroy();
  }
}

/** Waits until the server with this pid is ready. Never rejects; false if it is not in time. */
export async function waitUntilReady(
  dataDir: string,
  pid: number,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const found = await readPostmaster(dataDir);
    if (found?.pid === pid && found.status === 'ready') return true;
    await delay(POLL_MS);
  }
  return false;
}

/** Whether a process with this pid exists, under any account. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isServerOf(pid: number, dataDir: string): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform === 'linux') {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return command.split('\0').includes(dataDir);
  }
  const list = run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]);
  return list.then(
    ({ stdout }) => stdout.includes(dataDir),
    () => false,
  );
}
