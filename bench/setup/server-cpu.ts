import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Milliseconds of a clock tick. Source: sysconf(_SC_CLK_TCK), 100 on all current Linux systems. */
const TICK_MS = 10;

/**
 * Milliseconds of CPU that a server and all its processes have used so far, including ended ones.
 * Linux only.
 *
 * @param dataDir of the server, which contains the id of its first process
 * @param without ids of processes that don't count
 */
export async function serverCpuMs(
  dataDir: string,
  without: readonly (number | undefined)[],
): Promise<number> {
  const [pid] = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n');
  const postmaster = Number(pid);
  let ticks = 0;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || without.includes(Number(name))) continue;
    const found = await statOf(name);
    if (found === undefined) continue;
    if (Number(name) === postmaster) ticks += found.own + found.ended;
    else if (found.parent === postmaster) ticks += found.own;
  }
  return ticks * TICK_MS;
}

/** Milliseconds of CPU that processes have used so far. Linux only. */
export async function processCpuMs(pids: readonly (number | undefined)[]): Promise<number> {
  const found = await Promise.all(pids.map((pid) => statOf(String(pid))));
  return found.reduce((sum, stat) => sum + (stat?.own ?? 0), 0) * TICK_MS;
}

/**
 * Fields of /proc/<pid>/stat after the name, which may contain blanks. Source: man 5 proc_pid_stat.
 */
async function statOf(pid: string) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15);
  return { parent: fields[1], own: user + system, ended: childUser + childSystem };
}
