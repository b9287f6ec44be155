import type { FoundFolder } from './scan-folders.js';
import { isKnownGone } from './process-identity.js';

/**
 * Milliseconds without a sign of life after which an owner counts as gone: it gives one a second, so it has
 * missed three and more. Source: the journal's design.
 */
export const SILENT_MS = 10_000;

/** What is known of a folder's owner. @internal */
export type OwnerState = 'alive' | 'gone';

interface Sight {
  readonly print: string;
  /** Monotonic milliseconds when it was first seen like this. */
  readonly since: number;
}

/**
 * Judges which owners live. Only changes count, on this process's own clock: the wall clocks of two
 * machines differ, and so do their file systems' times.
 *
 * @internal
 */
export class FolderWatch {
  readonly #sights = new Map<string, Sight>();

  /** @param now monotonic milliseconds */
  async judge(folder: FoundFolder, now: number): Promise<OwnerState> {
    const { path, print, isReleased } = folder;
    const before = this.#sights.get(path);
    const since = before?.print === print ? before.since : now;
    this.#sights.set(path, { print, since });
    if (isReleased || (await isOwnerGone(folder))) return 'gone';
    return now - since >= SILENT_MS ? 'gone' : 'alive';
  }

  /** Forgets folders that are not there any more. */
  keepOnly(paths: ReadonlySet<string>): void {
    for (const path of this.#sights.keys()) if (!paths.has(path)) this.#sights.delete(path);
  }
}

/** An adopter that has just renamed the folder may not have put its own record there yet. @internal */
export async function isOwnerGone({ owner, adopter }: FoundFolder): Promise<boolean> {
  if (owner === undefined || (adopter !== undefined && owner.run !== adopter)) return false;
  return isKnownGone(owner.author);
}
