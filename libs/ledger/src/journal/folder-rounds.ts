import { join } from 'node:path';
import type { FolderName } from './folder-names.js';
import { folderNames, lookIntoFolder, type FoundFolder } from './scan-folders.js';

/**
 * Maximum number of folders per look, in addition to those of this run. With more folders, each has
 * its turn every few seconds. A look at 64 takes a few ms in the thread pool, once a second.
 */
const MOST_A_LOOK = 64;

/**
 * Looks into the folders of a ledger's runs, a bounded number at a time. New folders come first,
 * then the others in turn.
 *
 * @internal
 */
export class FolderRounds {
  /** The last results by path, undefined if there was none; the longest unseen first. */
  readonly #known = new Map<string, FoundFolder | undefined>();

  constructor(private readonly dir: string) {}

  /**
   * @param wants whether to look into a folder, by its name; `always`: in each look
   * @param onRefused called for a folder that the file system refuses to read
   * @returns the folders of this look, by name, and the paths of all wanted ones
   * @throws the file system's error, except if the ledger has no folder
   */
  async look(
    wants: (path: string, name: FolderName) => boolean | 'always',
    onRefused: (path: string, error: unknown) => void,
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
      paths.map(async (path) => {
        const looking = lookIntoFolder(this.dir, names.get(path)!, this.#known.get(path));
        // One folder must not keep the others out of the table.
        const folder = await looking.catch((error: unknown) => void onRefused(path, error));
        this.#known.delete(path);
        this.#known.set(path, folder);
        return folder;
      }),
    );
    return { folders: found.filter((each) => each !== undefined), paths: new Set(names.keys()) };
  }
}
