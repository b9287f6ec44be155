import { findFreePort } from '@app/embedded-postgres';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LedgerStats } from 'nestjs-ledger';
import { PATIENCE } from './patience.js';
import { transpileFolder } from './transpile.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('../handlers/app', import.meta.url));

/** The way in which an application is stopped. */
export type Way = 'SIGTERM' | 'app.close()' | 'process.exit()';

/**
 * The applications of `test/handlers/app`, one at a time, in a process of their own. Calls are named by
 * the memo of their entry; the first word of a memo is the kind.
 */
export class HandlersApp {
  /** Calls of the last application that have begun. */
  readonly begun = new Set<string>();
  /** Of these, the ones that have come to their end and recorded what they record themselves. */
  readonly ended = new Set<string>();
  /** All lines that are not about calls, for the messages of a test. */
  output = '';
  isStopped = false;
  readonly #said = new Map<string, string>();
  readonly #exited: Promise<unknown>;

  private constructor(
    private readonly child: ChildProcess,
    readonly ports: { readonly http: number; readonly rpc: number; readonly ws: number },
  ) {
    this.#exited = once(child, 'close');
    createInterface(child.stdout!).on('line', (line) => this.#hear(line));
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  /** @param environment added to its ports, see `test/handlers/app/main.ts` */
  static async start(environment: Record<string, string>): Promise<HandlersApp> {
    const main = fileURLToPath(new URL('main.js', await transpiled()));
    const [http, rpc, ws] = [await findFreePort(), await findFreePort(), await findFreePort()];
    const { PATH, HOME, TMPDIR } = process.env;
    const ports = { HTTP_PORT: `${http}`, RPC_PORT: `${rpc}`, WS_PORT: `${ws}` };
    const child = spawn(process.execPath, [main], {
      cwd: ROOT,
      env: { PATH, HOME, TMPDIR, NO_COLOR: '1', ...ports, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return new HandlersApp(child, { http, rpc, ws });
  }

  #hear(line: string): void {
    const [, what, rest] = /^([a-z-]+) ?(.*)$/.exec(line) ?? [];
    if (what === 'begun') this.begun.add(rest!);
    else if (what === 'ended') this.ended.add(rest!);
    else if (what !== undefined) this.#said.set(what, rest!);
    else this.output += `${line}\n`;
  }

  /** Starts an application. The one before must be closed. */
  async open(schema: string, kinds: readonly string[]): Promise<void> {
    this.begun.clear();
    this.ended.clear();
    this.#said.clear();
    this.isStopped = false;
    this.child.stdin!.write(`open ${schema} ${kinds.join()}\n`);
    await this.until(() => this.#said.has('opened'));
  }

  /** @throws Error with its output if it ends, or takes too long */
  async until(condition: () => boolean): Promise<void> {
    const { timeout, interval } = PATIENCE;
    for (const deadline = Date.now() + timeout; !condition(); await delay(interval)) {
      if (!this.#isRunning || Date.now() > deadline) throw new Error(this.#state);
    }
  }

  get #state(): string {
    return `${this.begun.size} begun, ${this.ended.size} ended\n${this.output}`;
  }

  /** Stops the application; with its process, unless by `app.close()`. */
  async stop(by: Way): Promise<void> {
    if (by === 'SIGTERM') {
      this.child.kill(by);
      await this.#exited;
    } else if (by === 'process.exit()') {
      this.child.stdin!.write('exit\n');
      await this.#exited;
    } else {
      this.child.stdin!.write('close\n');
      await this.until(() => this.#said.has('closed'));
    }
    this.isStopped = true;
  }

  /** Waits for the end of a process without an open application. @returns its signal, or its exit code */
  async end(): Promise<number | NodeJS.Signals | null> {
    this.child.stdin!.end();
    await this.#exited;
    return this.child.signalCode ?? this.child.exitCode;
  }

  /** How many calls were under way when the stop began. */
  get underWay(): number {
    return Number(this.#saying('under-way'));
  }

  /** The ledger's figures when its hooks were over. */
  get stats(): LedgerStats {
    return JSON.parse(this.#saying('stats')) as LedgerStats;
  }

  #saying(what: string): string {
    const said = this.#said.get(what);
    if (said === undefined) throw new Error(this.#state);
    return said;
  }

  get #isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** For the end of a test. */
  async kill(): Promise<void> {
    if (this.#isRunning) this.child.kill('SIGKILL');
    await this.#exited;
  }
}

let transpiling: Promise<string> | undefined;
/** Several processes may start at once. */
const transpiled = (): Promise<string> => (transpiling ??= transpileFolder(FOLDER));
