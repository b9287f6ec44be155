import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

/** A separate process of the benchmark, so that contenders don't share heap, loop and compiler. */
export class Child {
  readonly #process: ChildProcess;
  readonly #messages: unknown[] = [];
  readonly #exited: Promise<number | null>;
  #wake: () => void = () => undefined;

  /** @param name of a file in `processes`, without `.process` @param input passed as JSON */
  constructor(name: string, input: unknown, nodeOptions: readonly string[] = []) {
    const path = join(import.meta.dirname, '..', 'processes', `${name}.process.js`);
    this.#process = fork(path, [JSON.stringify(input)], {
      execArgv: [...nodeOptions],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#process.on('message', (message) => {
      this.#messages.push(message);
      this.#wake();
    });
    this.#exited = new Promise((resolve) => {
      this.#process.once('exit', (code) => {
        resolve(code);
        this.#wake();
      });
    });
  }

  /** The next message of the process, in order. @throws Error if it ends without another one */
  async next<T>(): Promise<T> {
    while (this.#messages.length === 0) {
      if (this.#process.exitCode !== null || this.#process.signalCode !== null) {
        throw new Error(`a process of the benchmark ended with ${this.#process.exitCode}`);
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#messages.shift() as T;
  }

  send(message: unknown): void {
    this.#process.send(message as object);
  }

  /** Kills the process, as a lack of memory does, and waits for its end. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#exited;
  }

  /** Waits until the process has ended after its work, with a time limit. */
  async end(): Promise<void> {
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 15_000);
    await this.#exited;
    clearTimeout(timer);
  }
}

/** The parent's input for this process. */
export function inputOf<T>(): T {
  return JSON.parse(process.argv[2]!) as T;
}

/** Sends a message to the parent. */
export function tell(message: object): void {
  process.send!(message);
}

/** The next message of the parent. */
export function nextMessage<T>(): Promise<T> {
  return new Promise((resolve) => process.once('message', (message) => resolve(message as T)));
}
