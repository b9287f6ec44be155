/** Milliseconds of counting in one turn of the event loop, all calls together. */
const TURN_MS = 2;

let turnEndsAt = 0;
let nextTurn: Promise<void> | undefined;

/**
 * Passes items on while the event loop can spare the time that making them takes, and lets it do
 * other work in between. All who go through items share a turn, however many they are.
 */
export async function* inTurns<T>(items: Iterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.iterator]();
  for (;;) {
    while (performance.now() > turnEndsAt) await (nextTurn ??= makeTurn());
    const next = iterator.next();
    if (next.done) return;
    yield next.value;
  }
}

function makeTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      nextTurn = undefined;
      turnEndsAt = performance.now() + TURN_MS;
      resolve();
    });
  });
}
