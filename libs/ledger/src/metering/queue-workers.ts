import type { ModulesContainer } from '@nestjs/core';

/** A worker of a queue, as far as a stop must know it. @internal */
export interface QueueWorker {
  /** Takes no new job, and resolves when those under way have ended. */
  close(): Promise<unknown>;
}

/** A worker of BullMQ, by what it can do: `bullmq` is no dependency. */
interface BullMqWorker {
  close(): Promise<unknown>;
}

/** A queue of Bull, which is its own worker. */
interface BullQueue {
  pause(isLocal: boolean, doNotWaitActive: boolean): Promise<unknown>;
}

/**
 * The workers of Bull and BullMQ among the providers of an application: hosts of `@nestjs/bullmq`
 * (`WorkerHost`), workers that are providers themselves, and queues of `@nestjs/bull` that process jobs.
 *
 * @internal
 */
export function queueWorkersIn(modules: ModulesContainer): QueueWorker[] {
  const found = new Map<object, QueueWorker>();
  for (const { providers } of modules.values()) {
    for (const { instance } of providers.values()) {
      const made: unknown = instance;
      if (typeof made !== 'object' || made === null) continue;
      const worker = isBullMqWorker(made) ? made : workerOf(made);
      if (worker) found.set(worker, worker);
      else if (isBullQueue(made)) found.set(made, { close: () => made.pause(true, false) });
    }
  }
  return [...found.values()];
}

/** Undefined also for a host whose worker was not registered: its getter throws then. */
function workerOf(host: object): BullMqWorker | undefined {
  if (!hasAccessor(host, 'worker')) return undefined;
  try {
    const { worker } = host as { worker: unknown };
    return typeof worker === 'object' && worker !== null && isBullMqWorker(worker)
      ? worker
      : undefined;
  } catch {
    return undefined;
  }
}

function hasAccessor(value: object, key: string): boolean {
  for (
    let holder: object | null = value;
    holder;
    holder = Object.getPrototypeOf(holder) as object
  ) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, key);
    if (descriptor) return descriptor.get !== undefined;
  }
  return false;
}

function isBullMqWorker(value: object): value is BullMqWorker {
  return has(value, 'close', 'run', 'pause', 'resume', 'isRunning', 'getNextJob');
}

/** One that was given a processor: others only add jobs. */
function isBullQueue(value: object): value is BullQueue {
  if (!has(value, 'process', 'pause', 'whenCurrentJobsFinished', 'getNextJob')) return false;
  const { handlers } = value as { handlers?: object };
  return handlers !== undefined && Object.keys(handlers).length > 0;
}

function has(value: object, ...methods: string[]): boolean {
  return methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
