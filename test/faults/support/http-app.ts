import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LedgerStats } from '../../../libs/ledger/src/ports/ledger-stats.interface.js';
import { transpileFolder } from '../../support/transpile.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const APP_FOLDER = fileURLToPath(new URL('./http', import.meta.url));

/** The metered application of `http/main.ts` in a separate process. */
export class HttpApp {
  #said = '';
  readonly #closed: Promise<unknown>;

  private constructor(private readonly child: ChildProcess) {
    this.#closed = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    }
  }

  /** The package must be built. @param environment added to a clean one */
  static async start(environment: Record<string, string>): Promise<HttpApp & { port: number }> {
    const main = fileURLToPath(new URL('main.js', await transpileFolder(APP_FOLDER)));
    const { PATH, HOME, TMPDIR } = process.env;
    const child = fork(main, [], {
      cwd: ROOT,
      env: { PATH, HOME, TMPDIR, ...environment },
      execArgv: ['--enable-source-maps'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const app = new HttpApp(child);
    return Object.assign(app, { port: Number(await app.#message()) });
  }

  get output(): string {
    return this.#said;
  }

  async stats(): Promise<LedgerStats> {
    this.child.send('stats');
    return (await this.#message()) as LedgerStats;
  }

  /** Waits until the counters meet a condition. @throws Error with its output after 20 s */
  async until(condition: (stats: LedgerStats) => boolean | Promise<boolean>): Promise<LedgerStats> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const stats = await this.stats();
      if (await condition(stats)) return stats;
      if (performance.now() > deadline) throw new Error(`it did not come about\n${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Sends a signal and waits for the end; may be called again, and after the end. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
    await this.#closed;
  }

  /** @throws Error with its output if it ends, or says nothing for 20 s */
  async #message(): Promise<unknown> {
    const heard = new AbortController();
    const signal = AbortSignal.any([heard.signal, AbortSignal.timeout(20_000)]);
    const ended = once(this.child, 'exit', { signal }).then(() =>
      Promise.reject(new Error('it ended')),
    );
    try {
      const message = await Promise.race([once(this.child, 'message', { signal }), ended]);
      return message[0];
    } catch (error) {
      throw new Error(`no message: ${(error as Error).message}\n${this.#said}`, { cause: error });
    } finally {
      ended.catch(() => undefined);
      heard.abort();
    }
  }
}
