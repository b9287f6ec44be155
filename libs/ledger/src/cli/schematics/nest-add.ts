import { existsSync } from 'node:fs';
import { lineDiff } from '../init/line-diff.js';
import { loadCompiler } from '../init/load-compiler.js';
import { nextSteps } from '../init/next-steps.js';
import { addPeers } from '../init/plan-packages.js';
import { planInit } from '../init/plan-init.js';

/** What of a schematic's tree is used here; the Nest CLI brings the whole of it. @internal */
export interface SchematicTree {
  exists(path: string): boolean;
  readText(path: string): string;
  create(path: string, text: string): void;
  overwrite(path: string, text: string): void;
  getDir(path: string): { visit(visitor: (path: string) => void): void };
}

/** What of a schematic's context is used here. @internal */
export interface SchematicContext {
  readonly logger: { info(text: string): void };
  /** Done after the files were written. */
  addTask(task: { toConfiguration(): object }): unknown;
}

const LEDGER = 'nestjs-ledger';

/** What the Nest CLI gives: the folder of the project's sources. @internal */
export interface NestAddOptions {
  readonly sourceRoot?: string;
  readonly module?: string;
}

/**
 * The schematic behind `nest add nestjs-ledger`: the changes of `npx nestjs-ledger init`, shown in
 * the log and left to the Nest CLI to write.
 *
 * @internal
 */
export function nestAdd(
  options: NestAddOptions,
): (tree: SchematicTree, context: SchematicContext) => SchematicTree {
  return (tree, context) => {
    const { logger } = context;
    const files = {
      read: (path: string) => readFrom(tree, path),
      list: (folder: string) => listIn(tree, folder),
    };
    const plan = planInit(loadCompiler(process.cwd()), files, options);
    const peers = addPeers(files);
    const changes = [...plan.changes, ...(peers ? [peers] : [])];
    for (const change of changes) {
      logger.info(lineDiff(change).join('\n'));
      if (change.before === undefined) tree.create(change.path, change.after);
      else tree.overwrite(change.path, change.after);
    }
    if (changes.length === 0) logger.info('nothing to change');
    for (const note of plan.notes) logger.info(note);
    // The CLI itself has just installed the ledger, unless this was disabled.
    const installs = peers !== undefined && plan.missing.every(({ name }) => name !== LEDGER);
    if (installs) context.addTask(installTask(plan.manager));
    const left = peers === undefined || installs ? [] : plan.missing;
    for (const line of nextSteps({ ...plan, missing: left })) logger.info(line);
    return tree;
  };
}

/** The tree ends at the application's folder, and lock files may be above it. */
function readFrom(tree: SchematicTree, path: string): string | undefined {
  if (path.startsWith('../')) return existsSync(path) ? '' : undefined;
  return tree.exists(path) ? tree.readText(path) : undefined;
}

/** The tree's own paths are absolute. */
function listIn(tree: SchematicTree, folder: string): string[] {
  const paths: string[] = [];
  tree.getDir(folder).visit((path) => paths.push(path.replace(/^\//, '')));
  return paths;
}

/** As `NodePackageInstallTask` has it. Source: @angular-devkit/schematics/tasks/package-manager. */
function installTask(packageManager: string): { toConfiguration(): object } {
  const options = { command: 'install', quiet: true, packageManager };
  return { toConfiguration: () => ({ name: 'node-package', options }) };
}
