import { findFreePort } from '@app/embedded-postgres';
import { spawnSync } from 'node:child_process';
import {
  answers,
  ServerProcesses,
} from '../../libs/ledger/src/stream/fixtures/server-processes.fixture.js';

/** Debian's package `redis-server`. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

/** A Redis of one test file's own, in memory. */
export class RedisServer {
  readonly #process = new ServerProcesses();

  private constructor(readonly port: number) {}

  static async start(): Promise<RedisServer> {
    const port = await findFreePort();
    const server = new RedisServer(port);
    const options = ['--port', `${port}`, '--save', '', '--bind', '127.0.0.1'];
    const isReady = (): Promise<boolean> => answers('127.0.0.1', port);
    await server.#process.start(0, ['redis-server', ...options], isReady);
    return server;
  }

  get connection(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
