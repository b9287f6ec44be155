import { readdir, statfs } from 'node:fs/promises';
import { isSetAside } from '../files/file-names.js';
import { LedgerFiles } from '../files/ledger-files.js';
import { fault, ok, warning, type Diagnosis } from './health-checks.js';
import { leaveNoFolders } from './leave-no-folders.js';

const MEBIBYTE = 1_048_576;

/**
 * Whether what can't be written at a stop has a place, and whether something waits there. Leaves the
 * disk as it was.
 *
 * @param wantedBytes of a full channel
 * @param replay the command that writes back what waits there
 * @internal
 */
export async function checkSpillDir(
  dir: string,
  wantedBytes: number,
  replay: string,
): Promise<Diagnosis[]> {
  return leaveNoFolders(dir, () => judgeSpillDir(dir, wantedBytes, replay));
}

async function judgeSpillDir(
  dir: string,
  wantedBytes: number,
  replay: string,
): Promise<Diagnosis[]> {
  const probed = await new LedgerFiles(dir, 'doctor').probe();
  if (probed.fault !== undefined) {
    const text = `${dir} can't be used (${probed.fault}): entries that a stop can't write would be lost`;
    return [fault('spill directory', text, `make ${dir} writable, or set LEDGER_ASYNC_SPILL_DIR`)];
  }
  const waiting = (await readdir(dir)).filter((name) => isSetAside(name));
  const found: Diagnosis[] = [];
  if (probed.risk !== undefined) {
    found.push(warning('spill directory', probed.risk, `look at it with ls -ld ${dir}`));
  }
  if (waiting.length > 0) {
    const text = `${waiting.length} files in ${dir} wait to be written back`;
    found.push(warning('spill directory', text, `run \`${replay}\``));
  }
  if (found.length > 0) return found;
  const { bavail, bsize } = await statfs(dir);
  const freeBytes = bavail * bsize;
  const [free, wanted] = [freeBytes, wantedBytes].map((bytes) => Math.floor(bytes / MEBIBYTE));
  if (freeBytes < wantedBytes) {
    const text = `${dir} has ${free} MiB left, less than the ${wanted} MiB of a full channel`;
    return [warning('spill directory', text, 'free some space, or take another disk')];
  }
  const text = `${dir} takes and syncs files, ${free} MiB free for a channel of up to ${wanted} MiB`;
  return [ok('spill directory', text)];
}
