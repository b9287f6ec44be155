import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

/** Milliseconds after which an idle thread is ended. */
const IDLE_MS = 5_000;
/** Characters between two clearings of a tokenizer's cache; `tokenizer.ts` has the reason. */
const CACHED_CHARACTERS = 4_000_000;

/**
 * The thread's program, as text: it is started from TypeScript in tests and from JavaScript after a
 * build, and needs nothing from this package.
 */
const PROGRAM = `
const { parentPort } = require('node:worker_threads');
const os = require('node:os');
try {
  // As lowerPriority() does it.
  if (process.platform === 'linux') os.setPriority(Math.min(os.getPriority() + 10, 19));
} catch {}
const asText = { disallowedSpecial: new Set() };
let characters = 0;
parentPort.on('message', ({ id, path, parts }) => {
  try {
    const encoding = require(path);
    let tokens = 0;
    for (const part of parts) {
      tokens += encoding.countTokens(part, asText);
      characters += part.length;
    }
    if (characters > ${CACHED_CHARACTERS}) {
      characters = 0;
      encoding.clearMergeCache();
    }
    parentPort.postMessage({ id, tokens });
  } catch (error) {
    parentPort.postMessage({ id, error: String(error) });
  }
});
`;

interface Job {
  readonly done: (tokens: number) => void;
  readonly fail: (error: Error) => void;
}

const resolve = createRequire(import.meta.url).resolve;

/**
 * Counts tokens in its own thread, so that the event loop stays free. The first job starts it; when
 * idle it does not keep the process alive.
 */
export class CountingThread {
  private worker: Worker | undefined;
  private readonly jobs = new Map<number, Job>();
  private lastId = 0;
  private idle: NodeJS.Timeout | undefined;

  /**
   * Counts the tokens of parts of a text.
   *
   * @param encoding name in the tokenizer's package: `o200k_base`
   * @throws Error if the thread has ended
   */
  count(encoding: string, parts: readonly string[]): Promise<number> {
    const worker = (this.worker ??= this.start());
    clearTimeout(this.idle);
    worker.ref();
    const id = (this.lastId += 1);
    return new Promise((done, fail) => {
      this.jobs.set(id, { done, fail });
      worker.postMessage({ id, path: resolve(`gpt-tokenizer/encoding/${encoding}`), parts });
    });
  }

  private start(): Worker {
    const worker = new Worker(PROGRAM, { eval: true });
    worker.on(
      'message',
      ({ id, tokens, error }: { id: number; tokens: number; error?: string }) => {
        const job = this.jobs.get(id);
        this.jobs.delete(id);
        if (error === undefined) job?.done(tokens);
        else job?.fail(new Error(error));
        if (this.jobs.size === 0) this.rest(worker);
      },
    );
    worker.on('error', () => undefined);
    worker.on('exit', () => this.ended(worker));
    return worker;
  }

  private rest(worker: Worker): void {
    worker.unref();
    this.idle = setTimeout(() => void worker.terminate(), IDLE_MS).unref();
  }

  private ended(worker: Worker): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    for (const { fail } of this.jobs.values()) fail(new Error('the counting thread has ended'));
    this.jobs.clear();
  }
}
