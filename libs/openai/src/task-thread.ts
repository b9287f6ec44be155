import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

/** Milliseconds after which an idle thread is ended. */
const IDLE_MS = 30_000;

/**
 * Heap of a thread. A body of 16 MiB with the most values that `faultOfShape` allows takes some 60
 * MB while it is read, the tables of an encoding 50 MB.
 */
const HEAP_MB = 256;

/** A task as sent to the thread. */
export interface TaskOrder {
  readonly name: 'read' | 'count' | 'plan';
  readonly bytes: Uint8Array;
  readonly endpoint?: string | undefined;
}

/** The task's answer, with its bytes. */
export interface TaskAnswer {
  readonly result?: unknown;
  readonly error?: string;
  readonly bytes: Uint8Array;
}

/** A task and its caller. */
export interface Task extends TaskOrder {
  /** One caller may have at most half of the waiting tasks. */
  readonly caller: string;
  /** Whether the bytes are transferred for the duration of the task instead of copied. */
  readonly lendsBytes: boolean;
}

/** Too many tasks wait already. */
export class TasksFullError extends Error {}

/**
 * The task took too long or too much memory, or failed otherwise. Its bytes are lost if they were
 * lent.
 */
export class TaskFailedError extends Error {}

interface Job extends Task {
  readonly done: (answer: TaskAnswer) => void;
  readonly fail: (error: Error) => void;
}

/** The built file, even when this runs from TypeScript, because threads have no transformation. */
const PROGRAM = createRequire(import.meta.url).resolve('@app/openai/large-body-thread');

/**
 * Runs tasks with large bodies in its own thread, one after the other, in order. The first task
 * starts the thread. It is replaced when it dies or a task takes too long; when idle it does not
 * keep the process alive.
 */
export class TaskThread {
  private worker: Worker | undefined;
  private readonly waiting: Job[] = [];
  private current: Job | undefined;
  private timer: NodeJS.Timeout | undefined;

  /**
   * @param maxWaiting waiting tasks in addition to the running one; at least 2
   * @param deadlineMs for one task, from its start
   */
  constructor(
    private readonly maxWaiting: number,
    private readonly deadlineMs: number,
  ) {}

  /**
   * Runs a task.
   *
   * @throws TasksFullError if too many wait, of this caller or of all
   * @throws TaskFailedError if it takes too long, or the thread dies because of it
   */
  async run<Result>(task: Task): Promise<{ result: Result; bytes: Uint8Array }> {
    const own = this.waiting.filter(({ caller }) => caller === task.caller).length;
    if (this.waiting.length >= this.maxWaiting || own >= this.maxWaiting / 2) {
      throw new TasksFullError('too many tasks wait');
    }
    const { result, error, bytes } = await new Promise<TaskAnswer>((done, fail) => {
      this.waiting.push({ ...task, done, fail });
      if (!this.current) this.next();
    });
    if (error !== undefined) throw new TaskFailedError(error);
    return { result: result as Result, bytes };
  }

  private next(): void {
    clearTimeout(this.timer);
    const job = (this.current = this.waiting.shift());
    if (!job) return this.rest();
    const worker = (this.worker ??= this.start());
    worker.ref();
    this.timer = setTimeout(() => void this.replace('it took too long'), this.deadlineMs);
    const { name, bytes, endpoint, lendsBytes } = job;
    const lent = lendsBytes ? [bytes.buffer as ArrayBuffer] : [];
    worker.postMessage({ name, bytes, endpoint } satisfies TaskOrder, lent);
  }

  private start(): Worker {
    const worker = new Worker(PROGRAM, { resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
    worker.on('message', (answer: TaskAnswer) => {
      if (this.worker !== worker) return;
      this.current?.done(answer);
      this.next();
    });
    const died = (reason: string): void => {
      if (this.worker === worker) this.replace(reason);
    };
    worker.on('error', (error) => died(String(error)));
    worker.on('exit', () => died('its thread has ended'));
    return worker;
  }

  private replace(reason: string): void {
    const { worker, current } = this;
    this.worker = undefined;
    void worker?.terminate();
    current?.fail(new TaskFailedError(reason));
    this.next();
  }

  private rest(): void {
    const { worker } = this;
    if (!worker) return;
    worker.unref();
    this.timer = setTimeout(() => {
      this.worker = undefined;
      void worker.terminate();
    }, IDLE_MS).unref();
  }
}
