import { hostname } from 'node:os';
import { isAlive, isUnfinished } from '../files/file-names.js';
import { ownAuthor, type SegmentAuthor } from './segment-description.js';

/** A writer that lives finishes its file a second after the last row; this is several times that. */
const QUIET_MS = 60_000;

/**
 * Whether the writer of a segment may still be at work: the file is unfinished, its process is not
 * known to be gone, and it was written to in the last minute.
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

/** A pid says something on its own host only, and in its own namespace: each container has one. */
function isGone({ host, pid, pidNamespace }: SegmentAuthor): boolean {
  return host === hostname() && pidNamespace === ownAuthor().pidNamespace && !isAlive(pid);
}
