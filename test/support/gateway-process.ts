import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gatewayData } from './gateway-data.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_TIMEOUT_MS = 60_000;

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Milliseconds from the call that ended it. */
  readonly ms: number;
}

/** The gateway, as built for production, in a separate process. */
export class GatewayProcess {
  private said = '';
  private readonly exited: Promise<unknown[]>;

  private constructor(private readonly child: ChildProcess) {
    this.exited = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
  }

  /**
   * Builds the gateway if that is due and starts it on a free port.
   *
   * @param environment added to a clean one; `DATABASE_URL` decides which database it uses
   */
  static async spawn(environment: Record<string, string>): Promise<GatewayProcess> {
    await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
    const { PATH, HOME, TMPDIR } = process.env;
    const own = { PATH, HOME, TMPDIR };
    const child = spawn(process.execPath, ['--enable-source-maps', 'dist/main.js'], {
      cwd: ROOT,
      env: { ...own, PORT: '0', HOST: '127.0.0.1', DATA_DIR: gatewayData(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new GatewayProcess(child);
  }

  /** Everything that it wrote to stdout and stderr so far. */
  get output(): string {
    return this.said;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /**
   * Waits until it listens.
   *
   * @returns its address, without a slash at the end
   * @throws Error with its output if it ends or takes too long
   */
  async url(): Promise<string> {
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    for (;;) {
      const found = /listens on (http:\/\/localhost:\d+)/.exec(this.said)?.[1];
      if (found) return found.replace('localhost', '127.0.0.1');
      const more = Promise.race([
        once(this.child.stdout ?? this.child, 'data', { signal }),
        this.exited.then(() => {
          throw new Error('it ended');
        }),
      ]);
      await more.catch((error: Error) => {
        throw new Error(`the gateway does not listen: ${error.message}\n${this.said}`);
      });
    }
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<ProcessEnd> {
    const began = Date.now();
    this.child.kill(signal);
    return { ...(await this.ended()), ms: Date.now() - began };
  }

  /** Waits until it ends by itself. */
  async ended(): Promise<Omit<ProcessEnd, 'ms'>> {
    await this.exited;
    return { code: this.child.exitCode, signal: this.child.signalCode };
  }
}
