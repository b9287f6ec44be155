import { hostname } from 'node:os';
import { isAlive, isUnfinished } from '../files/file-names.js';
import { ownAuthor, type SegmentAuthor } from './segment-description.js';

/** Several times the second after which a live writer finishes its file. */
const QUIET_MS = 60_000;

/**
 * Whether the writer of a segment may still be running: the file is unfinished, its process is not
 * known to have ended, and it was written to in the last minute.
 *
 * @param modifiedMs milliseconds since 1970
 * @internal
 */
export function isSegmentBeingWritten(
  path: string,
  author: SegmentAuthor,
  modifiedMs: number,
): boolean {
  return isUnfinished(path) && !isGone(author) && Date.now() - modifiedMs < QUIET_MS;
}

/** A pid is meaningful only on its own host and in its own namespace: each container has one. */
function isGone({ host, pid, pidNamespace }: SegmentAuthor): boolean {
  return host === hostname() && pidNamespace === ownAuthor().pidNamespace && !isAlive(pid);
}
