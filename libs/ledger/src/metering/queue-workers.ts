import type { ModulesContainer } from '@nestjs/core';

/** The part of a queue's worker that the shutdown needs. @internal */
export interface QueueWorker {
  /** Stops taking jobs, and resolves when running jobs have ended. */
  close(): Promise<unknown>;
}

/** A BullMQ worker, recognised by its methods, because `bullmq` is not a dependency. */
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

/** Also undefined for a host without a registered worker, whose getter throws. */
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

/** Has a processor; other instances only add jobs. */
function isBullQueue(value: object): value is BullQueue {
  if (!has(value, 'process', 'pause', 'whenCurrentJobsFinished', 'getNextJob')) return false;
  const { handlers } = value as { handlers?: object };
  return handlers !== undefined && Object.keys(handlers).length > 0;
}

function has(value: object, ...methods: string[]): boolean {
  return methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function');
}
