/** Every copy of the package, in either format and of any version, finds the others' work here. */
export const SHARED = Symbol.for('nestjs-ledger/at-exit@1');

interface AtExit {
  readonly tasks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Calls a task when the process exits, whether it was asked to, ends by itself or by an exception.
 * All ledgers of a process share one listener, which goes with the last task.
 *
 * @param task must do all in one go: no timer and no promise is waited for any more
 * @returns a function that takes the task back; calling it again does nothing
 * @internal
 */
export function atExit(task: () => void): () => void {
  const host = process as { [SHARED]?: AtExit };
  const shared = (host[SHARED] ??= makeAtExit());
  if (shared.tasks.size === 0) process.on('exit', shared.listener);
  shared.tasks.add(task);
  return () => {
    if (shared.tasks.delete(task) && shared.tasks.size === 0) {
      process.removeListener('exit', shared.listener);
    }
  };
}

function makeAtExit(): AtExit {
  const tasks = new Set<() => void>();
  const listener = (): void => {
    // A copy: a task may take itself back, and come again for what a listener behind this one records.
    for (const task of [...tasks]) {
      try {
        task();
      } catch {
        // The others must come to their turn, and there is nobody left to be told.
      }
    }
  };
  return { tasks, listener };
}
