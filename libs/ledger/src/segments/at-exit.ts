/** Shared by every copy of the package, in either format and of any version. */
export const SHARED = Symbol.for('nestjs-ledger/at-exit@1');

interface AtExit {
  readonly tasks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Calls a task when the process exits, on request, by itself or after an exception. All ledgers of
 * a process share one listener, which is removed with the last task.
 *
 * @param task must be synchronous, because no timer or promise runs after it
 * @returns a function that removes the task; calling it again has no effect
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
    // A copy, because a task may remove itself, and add itself again for entries that a later
    // listener records.
    for (const task of [...tasks]) {
      try {
        task();
      } catch {
        // The others must run, and nothing remains to receive the error.
      }
    }
  };
  return { tasks, listener };
}
