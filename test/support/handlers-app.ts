import { findFreePort } from '@app/embedded-postgres';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LedgerStats } from 'nestjs-ledger';
import { transpileFolder } from './transpile.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('../handlers/app', import.meta.url));
const START_LIMIT_MS = 30_000;

/** What the process said at its end. Calls are named by the memo of their entry. */
export interface LastWords {
  readonly begun: string[];
  readonly ended: string[];
  readonly stats: LedgerStats;
}

/** The application of `test/handlers/app`, in a process of its own. */
export class HandlersApp {
  output = '';
  readonly #exited: Promise<unknown>;

  private constructor(
    private readonly child: ChildProcess,
    readonly ports: { readonly http: number; readonly rpc: number; readonly ws: number },
  ) {
    this.#exited = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
  }

  /** @param environment added to its ports, see `test/handlers/app/main.ts` */
  static async start(environment: Record<string, string>): Promise<HandlersApp> {
    const main = fileURLToPath(new URL('main.js', await transpileFolder(FOLDER)));
    const [http, rpc, ws] = [await findFreePort(), await findFreePort(), await findFreePort()];
    const { PATH, HOME, TMPDIR } = process.env;
    const ports = { HTTP_PORT: `${http}`, RPC_PORT: `${rpc}`, WS_PORT: `${ws}` };
    const child = spawn(process.execPath, [main], {
      cwd: ROOT,
      env: { PATH, HOME, TMPDIR, NO_COLOR: '1', ...ports, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const app = new HandlersApp(child, { http, rpc, ws });
    try {
      await app.until(() => /^READY$/m.test(app.output));
    } catch (error) {
      await app.kill();
      throw error;
    }
    return app;
  }

  /** @throws Error with its output if it ends, or takes too long */
  async until(condition: () => boolean): Promise<void> {
    for (const deadline = Date.now() + START_LIMIT_MS; !condition(); await delay(20)) {
      if (this.#hasEnded || Date.now() > deadline) throw new Error(this.output);
    }
  }

  /** How many calls of each kind have begun; a kind is the first word of their memo. */
  get begun(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [, kind] of this.output.matchAll(/^begun (\S+) /gm)) {
      counts.set(kind!, (counts.get(kind!) ?? 0) + 1);
    }
    return counts;
  }

  /** Stops it by a signal, or by its own `app.close()`, and waits for the end. @returns milliseconds */
  async stop(by: 'SIGTERM' | 'app.close()'): Promise<number> {
    const startedAt = performance.now();
    if (by === 'SIGTERM') this.child.kill(by);
    else this.child.stdin?.write('close\n');
    await this.#exited;
    return performance.now() - startedAt;
  }

  /** @throws Error with its output if it ended otherwise */
  get lastWords(): LastWords {
    const [, json] = /^LAST (.*)$/m.exec(this.output) ?? [];
    if (json === undefined) throw new Error(this.output);
    return JSON.parse(json) as LastWords;
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** For the end of a test. */
  async kill(): Promise<void> {
    if (!this.#hasEnded) this.child.kill('SIGKILL');
    await this.#exited;
  }
}
