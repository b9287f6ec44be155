/** Path of a folder with names that are not synced, and its last change of those. @internal */
export type UnsyncedFolder = readonly [path: string, change: number];

/**
 * Folders whose names, or the names in them, a loss of power would take. One that changes while it is synced stays
 * among them.
 *
 * @internal
 */
export class UnsyncedFolders implements Iterable<UnsyncedFolder> {
  readonly #changes = new Map<string, number>();
  #count = 0;

  /** A name in the folder is new. */
  note(path: string): void {
    this.#changes.set(path, ++this.#count);
  }

  /** Its names are on disk as they were at that change. */
  noteSynced([path, change]: UnsyncedFolder): void {
    if (this.#changes.get(path) === change) this.#changes.delete(path);
  }

  [Symbol.iterator](): Iterator<UnsyncedFolder> {
    return this.#changes.entries();
  }
}
