import { startEmbeddedPostgres } from '@app/embedded-postgres';
import { spawnSync } from 'node:child_process';
import { statSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Connection string of a superuser; each test file makes a schema of its own there. */
    databaseUrl: string;
  }
}

/**
 * Gives every test file a real PostgreSQL: that of LEDGER_TEST_DATABASE_URL, else a throw-away one
 * that lives as long as the suite.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  transpileThreads();
  const given = process.env['LEDGER_TEST_DATABASE_URL'];
  if (given) {
    project.provide('databaseUrl', given);
    return async () => {};
  }
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-test-'));
  // The server may run under another account, which has to walk through the folder.
  await chmod(folder, 0o755);
  const server = await startEmbeddedPostgres({
    dataDir: join(folder, 'data'),
    settings: {
      // The data is thrown away, so nothing has to survive a crash of the machine.
      fsync: 'off',
      full_page_writes: 'off',
      max_connections: 200,
      shared_buffers: '256MB',
    },
  });
  project.provide('databaseUrl', server.url);
  return async () => {
    await server.dispose();
    await rm(folder, { recursive: true, force: true });
  };
}

/** Threads run JavaScript, also where tests run TypeScript: makes that of their package if it is older. */
function transpileThreads(): void {
  const source = join('libs', 'openai', 'src');
  const changedAt = readdirSync(source).map((name) => statSync(join(source, name)).mtimeMs);
  const built = join('libs', 'openai', 'dist', 'large-body-thread.js');
  const builtAt = statSync(built, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (builtAt > Math.max(...changedAt)) return;
  spawnSync(process.execPath, ['scripts/transpile.js', 'libs/openai/tsconfig.lib.json']);
}
