import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Four installations run side by side, maybe beside other work. */
const COMMAND_LIMIT_MS = 600_000;

/**
 * Runs a command to its end.
 *
 * @param where its folder, its PATH if that is another one, more of its environment
 * @returns what it printed
 * @throws Error that holds what it printed
 */
export async function run(command, args, { cwd, path = process.env.PATH, env = {} }) {
  try {
    return await promisify(execFile)(command, args, {
      cwd,
      timeout: COMMAND_LIMIT_MS,
      env: { ...process.env, PATH: path, CI: 'true', NO_COLOR: '1', ...env },
    });
  } catch (error) {
    const said = `${error.stdout}${error.stderr}`;
    throw new Error(`${command} ${args.join(' ')}: ${said}`, { cause: error });
  }
}
