import { spawnSync } from 'node:child_process';
import { statSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Threads run JavaScript, also where tests run TypeScript: makes that of their package if it is
 * older.
 */
export default function setup(): void {
  const source = join('libs', 'openai', 'src');
  const changedAt = readdirSync(source).map((name) => statSync(join(source, name)).mtimeMs);
  const built = join('libs', 'openai', 'dist', 'large-body-thread.js');
  const builtAt = statSync(built, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (builtAt > Math.max(...changedAt)) return;
  spawnSync(process.execPath, ['scripts/transpile.js', 'libs/openai/tsconfig.lib.json']);
}
