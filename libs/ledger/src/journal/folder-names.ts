/** Where the folders of a ledger's runs are: beside those of other ledgers. @internal */
export const OWNER_FILE = 'owner.json';
/** Made by a run that stopped with rows left, as its last act: anybody may take the folder at once. */
export const RELEASED_FILE = 'released';

/** Says that every row of the folder is replayed, settled or not: the server may have lost them. */
export const REPLAY_ALL_FILE = 'replay-all';

/** A run; a number from 2 where it lost its folder and began another; the run that adopted it. */
const RUN_FOLDER = /^([0-9a-f]{8})(?:-\d+)?(?:\.adopted-([0-9a-f]{8}))?$/;
const SEGMENT_FILE = /^\d+\.wal$/;
/** Ending of a segment that was set aside: it was read as far as it is whole. */
export const DAMAGED_ENDING = '.damaged';

/** What the name of a folder says. @internal */
export interface FolderName {
  /** That wrote the rows, eight hex digits. */
  readonly run: string;
  /** That adopted the folder, if one did. */
  readonly adopter: string | undefined;
}

/** @returns undefined for a name that is none of a run's folder @internal */
export function parseFolderName(name: string): FolderName | undefined {
  const found = RUN_FOLDER.exec(name);
  return found === null ? undefined : { run: found[1]!, adopter: found[2] };
}

/** The name of a folder once a run has adopted it. @internal */
export function adoptedName(name: string, adopter: string): string {
  return `${withoutAdopter(name)}.adopted-${adopter}`;
}

/** Whether a name is that of a folder after it was adopted, by any run. @internal */
export function isLaterName(name: string, folder: string): boolean {
  return name !== folder && parseFolderName(name) !== undefined && withoutAdopter(name) === folder;
}

function withoutAdopter(name: string): string {
  return name.replace(/\.adopted-[0-9a-f]{8}$/, '');
}

/** Whether a file of a run's folder holds rows, by its name. @internal */
export function isJournalFile(name: string): boolean {
  return SEGMENT_FILE.test(name);
}

/** @internal */
export function isDamagedFile(name: string): boolean {
  return name.endsWith(DAMAGED_ENDING);
}

/** @internal */
export function damagedPath(path: string): string {
  return `${path}${DAMAGED_ENDING}`;
}
