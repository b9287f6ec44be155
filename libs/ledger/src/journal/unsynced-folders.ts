/** Path of a folder with unsynced names, and the number of its last change. @internal */
export type UnsyncedFolder = readonly [path: string, change: number];

/**
 * Folders whose names, or the names in them, would not survive a power loss. A folder that changes
 * during its sync stays in the list.
 *
 * @internal
 */
export class UnsyncedFolders implements Iterable<UnsyncedFolder> {
  readonly #changes = new Map<string, number>();
  #count = 0;

  /** Notes a new name in the folder. */
  note(path: string): void {
    this.#changes.set(path, ++this.#count);
  }

  /** Notes that the names are on disk as of that change. */
  noteSynced([path, change]: UnsyncedFolder): void {
    if (this.#changes.get(path) === change) this.#changes.delete(path);
  }

  [Symbol.iterator](): Iterator<UnsyncedFolder> {
    return this.#changes.entries();
  }
}
