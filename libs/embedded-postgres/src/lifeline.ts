import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

/**
 * How a server learns that its parent died without a word (SIGKILL): `kernel`: Linux sends it
 * SIGINT; `watchdog`: a shell waits at the other end of a pipe and sends it then.
 */
export type Lifeline = 'kernel' | 'watchdog';

/** The kernel's way if this machine has a `setpriv` that knows it, else the watchdog. */
export function chooseLifeline(): Lifeline {
  try {
    execFileSync('setpriv', ['--pdeathsig', 'INT', 'true'], { stdio: 'ignore' });
    return 'kernel';
  } catch {
    return 'watchdog';
  }
}

/**
 * Starts a server that ends by fast shutdown (SIGINT) when this process is gone, however it went.
 * The server is in a session of its own, so that a Ctrl-C at the terminal reaches only this
 * process, which can then write what it holds before it stops the server.
 *
 * @param command the program, then its arguments
 */
export function spawnWithLifeline(
  command: readonly [string, ...string[]],
  lifeline: Lifeline,
  options: SpawnOptions,
): ChildProcess {
  const [program, ...args] = command;
  if (lifeline === 'kernel') {
    const wrapped = ['--pdeathsig', 'INT', program, ...args];
    return spawn('setpriv', wrapped, { ...options, detached: true });
  }
  const server = spawn(program, args, { ...options, detached: true });
  if (server.pid !== undefined) watch(server, server.pid);
  return server;
}

function watch(server: ChildProcess, pid: number): void {
  // `read` ends when the pipe's other end closes, which happens with this process.
  const watchdog = spawn('/bin/sh', ['-c', 'read -r line; kill -INT "$0"', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  (watchdog.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  // Once the server is gone its pid may become a stranger's.
  server.once('exit', () => watchdog.kill('SIGKILL'));
}
