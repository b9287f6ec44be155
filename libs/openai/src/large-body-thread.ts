import { parentPort } from 'node:worker_threads';
import { countLargePrompt, planLargeEcho, readLargeBody } from './large-body-tasks.js';
import { lowerPriority } from './lower-priority.js';
import type { TaskAnswer, TaskOrder } from './task-thread.js';

/** What a thread does, one task after the other. */

lowerPriority();

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
