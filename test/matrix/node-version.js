import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { run } from './run-command.js';

/** A version of Node.js that the registry does not give. */
export class NoSuchNodeError extends Error {}

/**
 * Installs a version of Node.js, which comes as an npm package for each platform.
 *
 * @param folder an empty one, made here
 * @returns the PATH on which it comes first, and what it calls itself
 * @throws NoSuchNodeError if the registry has no such package
 */
export async function installNode(folder, version) {
  const name = `node-${process.platform}-${process.arch}`;
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true }));
  const options = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  try {
    await run('npm', ['install', ...options, `${name}@${version}`], { cwd: folder });
  } catch (error) {
    if (!/E404|ETARGET/.test(error.message)) throw error;
    throw new NoSuchNodeError(`the registry has no ${name}@${version}`, { cause: error });
  }
  const path = [join(folder, 'node_modules', name, 'bin'), process.env.PATH].join(delimiter);
  const { stdout } = await run('node', ['--version'], { cwd: folder, path });
  return { path, version: stdout.trim() };
}
