import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CommandError } from '../command.error.js';
import type { Compiler } from './edit-app-module.js';

/**
 * The application's TypeScript. Every NestJS application has one, so the package does not depend on
 * it.
 *
 * @param folder the application's
 * @throws CommandError if there is none, or one without a compiler API (version 7)
 * @internal
 */
export function loadCompiler(folder: string): Compiler {
  const require = createRequire(join(folder, 'package.json'));
  let compiler: Partial<Compiler>;
  try {
    compiler = require('typescript') as Partial<Compiler>;
  } catch {
    throw new CommandError('no TypeScript here: run this in the folder of a NestJS application');
  }
  if (!compiler.createSourceFile || !compiler.getDecorators) {
    throw new CommandError(
      'this TypeScript has no API to read a module with; add the ledger by hand, as docs/get-started.md shows',
    );
  }
  return compiler as Compiler;
}
