import { lstat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fault, ok, warning, type Diagnosis } from './health-checks.js';
import { viewFolders, type JournalFolderView } from './journal-folders.js';

/** Bits of a mode that let others read or write. */
const OTHERS = 0o077;

/**
 * Whether only its owner can read the journal, and whether something waits there that no start takes.
 * Changes nothing.
 *
 * @internal
 */
export async function checkJournalDir(
  journalDir: string,
  ledger: string,
  journalList: string,
): Promise<Diagnosis[]> {
  if (!existsSync(journalDir)) {
    return [ok('journal', `${journalDir} is not there yet: the first entry makes it`)];
  }
  let views: JournalFolderView[];
  try {
    views = await viewFolders(journalDir, ledger);
  } catch (error) {
    const text = error instanceof Error ? error.message : 'unknown';
    return [fault('journal', text, `make ${journalDir} readable, or set LEDGER_ASYNC_JOURNAL_DIR`)];
  }
  const found = [
    ...(await openModes(journalDir, ledger, views)),
    ...views.flatMap(({ folder, damaged }) =>
      damaged.length === 0
        ? []
        : [
            warning(
              'journal',
              `${folder.path} has ${damaged.length} damaged files`,
              `run \`${journalList}\``,
            ),
          ],
    ),
  ];
  const left = views.filter(({ state }) => state === 'ended' || state === 'released');
  if (left.length > 0) {
    const text = `${left.length} runs have left entries in ${journalDir}: a start of the ledger for the same table writes them`;
    found.push(warning('journal', text, `run \`${journalList}\``));
  }
  return found.length > 0 ? found : [ok('journal', `${journalDir}: ${views.length} runs at work`)];
}

/** Segments hold whole entries. */
async function openModes(
  journalDir: string,
  ledger: string,
  views: readonly JournalFolderView[],
): Promise<Diagnosis[]> {
  const folders = [join(journalDir, ledger), ...views.map(({ folder }) => folder.path)];
  const modes = await Promise.all(
    folders.map((path) =>
      lstat(path).then(
        ({ mode }) => mode,
        () => 0,
      ),
    ),
  );
  const open = folders.filter((_, index) => (modes[index]! & OTHERS) !== 0);
  const files = views.flatMap(({ folder }) =>
    folder.files
      .filter(({ mode }) => (mode & OTHERS) !== 0)
      .map(({ name }) => join(folder.path, name)),
  );
  const all = [...open, ...files];
  if (all.length === 0) return [];
  const text = `others can read ${all.length} files or folders of the journal, as ${all[0]}`;
  return [warning('journal', text, `chmod -R go= ${join(journalDir, ledger)}`)];
}
