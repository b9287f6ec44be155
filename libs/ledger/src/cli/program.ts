import { Command, CommanderError } from 'commander';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { VERSION } from '../nest/version.js';
import { CommandError, EXIT_FAILED } from './command.error.js';
import type { CommandOutput } from './command-output.js';
import { addAdviseCommand } from './advise.command.js';
import { addDoctorCommand } from './doctor.command.js';
import { escapingOutput } from './escape-controls.js';
import { addInitCommand } from './init.command.js';
import { hintForRemovedOption } from './ledger-options.js';
import { addJournalCommand } from './journal.command.js';
import { addMigrateCommand } from './migrate.command.js';
import { addPartitionsCommand } from './partitions.command.js';
import { addReplayCommand } from './replay.command.js';
import { addRollupCommand } from './rollup.command.js';
import { addTuneCommand } from './tune.command.js';
import { addVerifyCommand } from './verify.command.js';

const EXAMPLES = `
Examples:
  $ nestjs-ledger init
  $ nestjs-ledger migrate -d dist/usage.ledger.js
  $ nestjs-ledger doctor --instances 4 --workers 5
  $ nestjs-ledger tune --qps 50000 --burst 2
  $ nestjs-ledger <command> --help

Exit code: 0 all is well, 1 something is wrong, 2 the command failed.`;

/**
 * Runs one command. Never rejects.
 *
 * @param args without node and the script
 * @returns the exit code: 0 all is well, 1 something is missing or refused, 2 the command failed,
 *   128 and the signal's number if it was interrupted and has cleaned up
 * @internal
 */
export async function runProgram(args: readonly string[], given: CommandOutput): Promise<number> {
  const output = escapingOutput(given);
  let code = 0;
  const finish = (ended: number): void => void (code = ended);
  const program = new Command('nestjs-ledger')
    .description(
      'set up a usage ledger, tune it, look after its database, and prove that nothing is missing',
    )
    .version(VERSION)
    .addHelpText('after', EXAMPLES)
    .configureOutput({
      writeOut: (text) => output.line(text.trimEnd()),
      writeErr: (text) => output.warn(text.trimEnd()),
    })
    .exitOverride();
  addInitCommand(program, output);
  addTuneCommand(program, output, finish);
  addDoctorCommand(program, output, finish);
  addAdviseCommand(program, output, finish);
  addMigrateCommand(program, output);
  addPartitionsCommand(program, output);
  addReplayCommand(program, output, finish);
  addJournalCommand(program, output, finish);
  addVerifyCommand(program, output, finish);
  addRollupCommand(program, output);
  for (const command of program.commands) command.copyInheritedSettings(program);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      const hint = hintForRemovedOption(error.message);
      if (hint !== undefined) output.warn(hint);
      return error.exitCode === 0 ? 0 : EXIT_FAILED;
    }
    output.warn(`error: ${describe(error)}`);
    return error instanceof CommandError ? error.exitCode : EXIT_FAILED;
  }
}

/** Errors from elsewhere may contain values or addresses, so only their code and name are printed. */
function describe(error: unknown): string {
  if (error instanceof CommandError || isLedgerError(error)) return error.message;
  if (!(error instanceof Error)) return 'unknown';
  return (error as NodeJS.ErrnoException).code ?? error.name;
}
