import type { Command } from 'commander';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { AppFiles } from './init/app-files.interface.js';
import { lineDiff } from './init/line-diff.js';
import { loadCompiler } from './init/load-compiler.js';
import { nextSteps } from './init/next-steps.js';
import { planInit, type InitPlaces } from './init/plan-init.js';
import { CommandError } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { fileErrorCode } from './set-aside-files.js';
import { writeAppFiles } from './write-app-files.js';

/** Options of `init`. @internal */
export interface InitOptions extends InitPlaces {
  /** The application's folder. */
  readonly folder: string;
  /** Show the changes without writing them. */
  readonly dryRun?: boolean;
  /** Write without asking. */
  readonly yes?: boolean;
}

const EXAMPLES = `
Examples:
  $ nestjs-ledger init
  $ nestjs-ledger init --module src/billing/billing.module.ts --dry-run

Run it in the folder of the application. Exit code: 0, or 2 if the command failed, for example
because there is no terminal and --yes is not given.`;

/** Adds `nestjs-ledger init`. @internal */
export function addInitCommand(program: Command, output: CommandOutput): void {
  program
    .command('init')
    .description('write the module line, the configuration and an .env sample into an application')
    .option('--module <file>', 'the module that imports the ledger, like src/app.module.ts')
    .option('--dry-run', 'show the changes without writing them')
    .option('--yes', 'write without asking')
    .addHelpText('after', EXAMPLES)
    .action((options: Omit<InitOptions, 'folder'>) =>
      init({ ...options, folder: process.cwd() }, output, askInTerminal),
    );
}

/**
 * Shows the changes and writes them on confirmation. A second run finds nothing to change.
 *
 * @param ask asks whether to write; undefined without a terminal
 * @throws CommandError with instructions, if an automatic edit could break the application
 * @internal
 */
export async function init(
  { folder, dryRun, yes, ...places }: InitOptions,
  output: CommandOutput,
  ask: () => Promise<boolean | undefined>,
): Promise<void> {
  const plan = planInit(loadCompiler(folder), filesOf(folder), places);
  const { changes, notes } = plan;
  for (const change of changes) for (const line of lineDiff(change)) output.line(line);
  if (changes.length === 0) output.line('nothing to change');
  else if (dryRun) output.line('nothing written: --dry-run');
  else {
    const answer = yes ? true : await ask();
    if (answer === undefined) {
      throw new CommandError('nothing written: give --yes if there is no terminal');
    }
    if (answer) await writeAppFiles(folder, changes);
    output.line(answer ? `wrote ${changes.map(({ path }) => path).join(', ')}` : 'nothing written');
    if (!answer) return;
  }
  for (const note of notes) output.line(note);
  for (const line of nextSteps(plan)) output.line(line);
}

function filesOf(folder: string): AppFiles {
  return {
    read(path) {
      try {
        return readFileSync(join(folder, path), 'utf8');
      } catch (error) {
        const code = fileErrorCode(error);
        if (code === 'ENOENT') return undefined;
        throw code === undefined ? error : new CommandError(`${path} can't be read: ${code}`);
      }
    },
    list: (within) => listFiles(folder, within),
  };
}

/** Without links, which may lead in circles, and without installed packages. */
function listFiles(folder: string, within: string): string[] {
  try {
    return readdirSync(join(folder, within), { withFileTypes: true }).flatMap((entry) => {
      const path = `${within}/${entry.name}`;
      if (entry.isFile()) return [path];
      return entry.isDirectory() && entry.name !== 'node_modules' ? listFiles(folder, path) : [];
    });
  } catch (error) {
    const code = fileErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw code === undefined ? error : new CommandError(`${within} can't be read: ${code}`);
  }
}

async function askInTerminal(): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return undefined;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y/i.test(await terminal.question('Write these changes? [y/N] '));
  } finally {
    terminal.close();
  }
}
