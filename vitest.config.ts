import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { ownServerPool } from './test/support/own-server-pool.js';
import { SlowKindsFirst } from './test/support/slow-kinds-first.js';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The processors of a small machine: with more, fault tests of seconds take minutes there. */
const PROCESSES = 2;

/** A server that is given is one for all files, and some of them look at every transaction in it. */
function processes(env: NodeJS.ProcessEnv): number {
  if (env['LEDGER_TEST_DATABASE_URL']) return 1;
  return Number(env['LEDGER_TEST_PROCESSES'] ?? PROCESSES);
}

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@app\/(.+)$/, replacement: source('./libs/$1/src/index.ts') },
      { find: /^nestjs-ledger$/, replacement: source('./libs/ledger/src/index.ts') },
      {
        find: /^nestjs-ledger\/(testing|advice|dashboard|kafka|nats)$/,
        replacement: source('./libs/ledger/src/$1/index.ts'),
      },
      {
        find: /^nestjs-ledger\/sink$/,
        replacement: source('./libs/ledger/src/sink-kit/index.ts'),
      },
      {
        find: /^nestjs-ledger\/(prometheus|opentelemetry)$/,
        replacement: source('./libs/ledger/src/metrics/$1/index.ts'),
      },
    ],
  },
  test: {
    globalSetup: './test/support/global-setup.ts',
    // One module graph for all files of a worker: loading Nest and TypeORM again for each takes 0.5 s.
    isolate: false,
    pool: ownServerPool,
    maxWorkers: processes(process.env),
    sequence: { sequencer: SlowKindsFirst },
    include: ['{libs,src}/**/*.{spec,int-spec}.ts', '{test,examples}/**/*.{spec,e2e-spec}.ts'],
    // Applications of other versions, which test/matrix/run.js installs and tests.
    exclude: ['**/node_modules/**', 'test/matrix/**'],
    // Processes share the processors, so a test may take several times as long as it does alone.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What a server does in its own time, like ending a session, may take seconds then.
    expect: { poll: { timeout: 25_000 } },
  },
});
