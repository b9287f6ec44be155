/** Name of the owner's record in a run's folder. @internal */
export const OWNER_FILE = 'owner.json';
/**
 * Created by a stopping run with rows left, as its last act: any process may take the folder at
 * once.
 */
export const RELEASED_FILE = 'released';

/**
 * Marks a folder whose rows must all be replayed, settled or not, because the server may have lost
 * them.
 */
export const REPLAY_ALL_FILE = 'replay-all';

/** The run; a number from 2 for a further folder after a lost one; the run that adopted it. */
const RUN_FOLDER = /^([0-9a-f]{8})(?:-\d+)?(?:\.adopted-([0-9a-f]{8}))?$/;
const SEGMENT_FILE = /^\d+\.wal$/;
/** Suffix of a segment that was set aside after its whole frames were read. */
export const DAMAGED_ENDING = '.damaged';

/** The parts of a folder's name. @internal */
export interface FolderName {
  /** The run that wrote the rows, eight hex digits. */
  readonly run: string;
  /** The run that adopted the folder, if any. */
  readonly adopter: string | undefined;
}

/** @returns undefined if the name is not a run's folder @internal */
export function parseFolderName(name: string): FolderName | undefined {
  const found = RUN_FOLDER.exec(name);
  return found === null ? undefined : { run: found[1]!, adopter: found[2] };
}

/** The name of a folder after its adoption by a run. @internal */
export function adoptedName(name: string, adopter: string): string {
  return `${withoutAdopter(name)}.adopted-${adopter}`;
}

/** Whether a name is the folder's name after its adoption by any run. @internal */
export function isLaterName(name: string, folder: string): boolean {
  return name !== folder && parseFolderName(name) !== undefined && withoutAdopter(name) === folder;
}

function withoutAdopter(name: string): string {
  return name.replace(/\.adopted-[0-9a-f]{8}$/, '');
}

/** Whether a file of a run's folder contains rows, by its name. @internal */
export function isJournalFile(name: string): boolean {
  return SEGMENT_FILE.test(name);
}

/**
 * Orders the files of a run's folder by age, for `sort`. Their names are numbers, which have more
 * than six digits from the millionth file.
 *
 * @internal
 */
export function byAge(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}

/** @internal */
export function isDamagedFile(name: string): boolean {
  return name.endsWith(DAMAGED_ENDING);
}

/** @internal */
export function damagedPath(path: string): string {
  return `${path}${DAMAGED_ENDING}`;
}
