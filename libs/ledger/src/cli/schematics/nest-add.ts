import { lineDiff } from '../init/line-diff.js';
import { loadCompiler } from '../init/load-compiler.js';
import { planInit } from '../init/plan-init.js';

/** What of a schematic's tree is used here; the Nest CLI brings the whole of it. @internal */
export interface SchematicTree {
  exists(path: string): boolean;
  readText(path: string): string;
  create(path: string, text: string): void;
  overwrite(path: string, text: string): void;
}

/** What of a schematic's context is used here. @internal */
export interface SchematicContext {
  readonly logger: { info(text: string): void };
}

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
  return (tree, { logger }) => {
    const files = {
      read: (path: string) => (tree.exists(path) ? tree.readText(path) : undefined),
    };
    const { changes, notes } = planInit(loadCompiler(process.cwd()), files, options);
    for (const change of changes) {
      logger.info(lineDiff(change).join('\n'));
      if (change.before === undefined) tree.create(change.path, change.after);
      else tree.overwrite(change.path, change.after);
    }
    if (changes.length === 0) logger.info('nothing to change');
    for (const note of notes) logger.info(note);
    return tree;
  };
}
