/**
 * The remaining parts of a gathering write after its first `written` bytes, because a file system
 * may write fewer than requested. Views, without copies.
 *
 * @internal
 */
export function unwrittenParts(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  let left = written;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (left < part.length) rest.push(left === 0 ? part : part.subarray(left));
    left = Math.max(0, left - part.length);
  }
  return rest;
}
