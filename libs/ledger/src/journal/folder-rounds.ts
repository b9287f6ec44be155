import { join } from 'node:path';
import type { FolderName } from './folder-names.js';
import { folderNames, lookIntoFolder, type FoundFolder } from './scan-folders.js';

/**
 * Folders that a look goes into at most, beside those of this run: with more of them each has its turn every
 * few seconds. A look at 64 costs a few ms in the thread pool, once a second.
 */
const MOST_A_LOOK = 64;

/**
 * Looks into the folders of a ledger's runs, a bounded number at a time, however many there are. Those that
 * were never seen come first, then the others in turn.
 *
 * @internal
 */
export class FolderRounds {
  /** What was found last, by path; those seen longest ago first. */
  readonly #known = new Map<string, FoundFolder>();

  constructor(private readonly dir: string) {}

  /**
   * @param wants whether a folder is looked into, by its name; `always`: in each look
   * @returns those that were looked into, by their names; and the paths of all that are wanted
   * @throws the file system's error; not if there is no folder of the ledger
   */
  async look(
    wants: (path: string, name: FolderName) => boolean | 'always',
  ): Promise<{ folders: FoundFolder[]; paths: ReadonlySet<string> }> {
    const names = new Map<string, string>();
    const always: string[] = [];
    for (const each of await folderNames(this.dir)) {
      const path = join(this.dir, each.name);
      const wanted = wants(path, each);
      if (wanted === false) continue;
      names.set(path, each.name);
      if (wanted === 'always') always.push(path);
    }
    for (const path of this.#known.keys()) if (!names.has(path)) this.#known.delete(path);
    const unseen = [...names.keys()].filter((path) => !this.#known.has(path));
    const inTurn = [...unseen, ...this.#known.keys()].slice(0, MOST_A_LOOK);
    const paths = [...new Set([...always, ...inTurn])].sort();
    const found = await Promise.all(
      paths.map((path) => lookIntoFolder(this.dir, names.get(path)!, this.#known.get(path))),
    );
    const folders = found.filter((folder) => folder !== undefined);
    for (const folder of folders) {
      this.#known.delete(folder.path);
      this.#known.set(folder.path, folder);
    }
    return { folders, paths: new Set(names.keys()) };
  }
}
