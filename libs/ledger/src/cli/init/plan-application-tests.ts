import type { AppFiles, FileChange } from './app-files.interface.js';
import { editE2eSpec } from './edit-end-to-end-test.js';
import { styleOf, type SourceStyle } from './source-style.js';

/** Folders of end-to-end tests, beside the sources; `test` is the Nest CLI's. */
const FOLDERS = ['test', 'tests', 'e2e'];
const SPEC = /[.-](spec|test)\.[cm]?ts$/;

/** @internal */
export interface ApplicationTests {
  readonly changes: readonly FileChange[];
  /** Files that start the application in a way that can't be edited. */
  readonly unclear: readonly string[];
}

/**
 * Plans an in-memory ledger for every test that starts the application: in end-to-end folders and
 * specs, including functions that such tests share.
 *
 * @param root folder of the sources, with `app.module.ts` and `ledger.config.ts`
 * @internal
 */
export function planApplicationTests(files: AppFiles, root: string): ApplicationTests {
  const beside = root.slice(0, root.lastIndexOf('/') + 1);
  const paths = new Set([
    ...FOLDERS.flatMap((folder) => files.list(`${beside}${folder}`)).filter((path) =>
      /\.[cm]?ts$/.test(path),
    ),
    ...files.list(root).filter((path) => SPEC.test(path)),
  ]);
  const changes: FileChange[] = [];
  const unclear: string[] = [];
  for (const path of [...paths].sort()) {
    const before = files.read(path);
    if (before === undefined || !startsApplication(before)) continue;
    const after = editTest(before);
    if (after === undefined) unclear.push(path);
    else changes.push({ path, before, after });
  }
  return { changes, unclear };
}

function startsApplication(text: string): boolean {
  return /\bAppModule\b/.test(text) && /\/app\.module(\.[jt]s)?['"]/.test(text);
}

function editTest(text: string): string | undefined {
  const reached = /from\s+['"]([^'"]*\/)app\.module(\.[jt]s)?['"]/.exec(text);
  const [, folder, extension = ''] = reached ?? [];
  if (folder === undefined) return undefined;
  const style = { ...styleOf(text), extension: extension as SourceStyle['extension'] };
  return editE2eSpec(text, { config: `${folder}ledger.config${extension}`, style });
}
