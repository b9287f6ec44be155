import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { countLargePrompt, planLargeEcho, readLargeBody } from './large-body-tasks.js';
import type { TaskAnswer, TaskOrder } from './task-thread.js';

/** What a thread does, one task after the other. */

/** Niceness. The event loop goes first where there are too few processors for both. */
const NICE = 10;

// Linux gives each thread a priority of its own; elsewhere this would be that of the whole process.
if (process.platform === 'linux') setPriority(NICE);

parentPort!.on('message', (order: TaskOrder) => {
  void perform(order).then(
    (result) => answer({ result, bytes: order.bytes }),
    (error: unknown) => answer({ error: String(error), bytes: order.bytes }),
  );
});

async function perform({ name, bytes, endpoint }: TaskOrder): Promise<unknown> {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (name === 'read') return readLargeBody(body);
  return name === 'count' ? countLargePrompt(body, endpoint ?? '') : planLargeEcho(body);
}

function answer(answered: TaskAnswer): void {
  parentPort!.postMessage(answered, [answered.bytes.buffer as ArrayBuffer]);
}
