import type { FoundFolder } from './scan-folders.js';
import { isKnownGone } from './process-identity.js';

/**
 * Milliseconds without a sign of life after which an owner counts as gone. An owner gives one a
 * second, so it has missed more than three. Source: the journal's design.
 */
export const SILENT_MS = 10_000;

/** State of a folder's owner. @internal */
export type OwnerState = 'alive' | 'gone';

interface Sight {
  readonly print: string;
  /** Monotonic milliseconds when this state was first seen. */
  readonly since: number;
}

/**
 * Decides which owners are alive. Only changes count, measured on this process's own clock, because
 * the wall clocks of two machines and the times of their file systems differ.
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

  /** Forgets folders that no longer exist. */
  keepOnly(paths: ReadonlySet<string>): void {
    for (const path of this.#sights.keys()) if (!paths.has(path)) this.#sights.delete(path);
  }
}

/** An adopter may have renamed the folder without having written its record yet. @internal */
export async function isOwnerGone({ owner, adopter }: FoundFolder): Promise<boolean> {
  if (owner === undefined || (adopter !== undefined && owner.run !== adopter)) return false;
  return isKnownGone(owner.author);
}
