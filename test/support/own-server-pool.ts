import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForksPoolWorker, type PoolOptions, type PoolWorker } from 'vitest/node';
import { startEmbeddedPostgres } from '../../libs/embedded-postgres/src/index.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Connection string of a superuser; each test file creates its own schema there. */
    databaseUrl: string;
  }
}

/**
 * Test processes with a PostgreSQL server each: the server of LEDGER_TEST_DATABASE_URL, else a
 * throw-away one that lives as long as the process. Files of one process run one after the other,
 * so a file has its server to itself and may look at every transaction, role and setting of it.
 */
export const ownServerPool = {
  name: 'own-server',
  createPoolWorker: (options: PoolOptions): PoolWorker => new OwnServerWorker(options),
};

type Message = Parameters<PoolWorker['send']>[0];

class OwnServerWorker extends ForksPoolWorker {
  override readonly name = ownServerPool.name;
  #server: { url: string; dispose: () => Promise<void> } | undefined;

  override async start(): Promise<void> {
    this.#server ??= await startServer();
    await super.start();
  }

  /** What Vitest provides is the same in all processes; the connection string is not. */
  override send(message: Message): void {
    if (message.type !== 'run' || !this.#server) return super.send(message);
    const { context } = message;
    const providedContext = { ...context.providedContext, databaseUrl: this.#server.url };
    super.send({ ...message, context: { ...context, providedContext } });
  }

  override async stop(): Promise<void> {
    await super.stop();
    await this.#server?.dispose();
    this.#server = undefined;
  }
}

async function startServer(): Promise<{ url: string; dispose: () => Promise<void> }> {
  const given = process.env['LEDGER_TEST_DATABASE_URL'];
  if (given) return { url: given, dispose: async () => {} };
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
  return {
    url: server.url,
    async dispose() {
      await server.dispose();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
