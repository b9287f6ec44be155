/** Milliseconds of making, reading and counting texts in one turn of the event loop, all calls together. */
const TURN_MS = 2;

let isTurnOpen = false;
let turnEndsAt = 0;
let next: { readonly begun: Promise<void>; readonly begin: () => void } | undefined;

/**
 * Whether the event loop can spare the time of one more piece of work in this turn. All calls share a
 * turn, however many they are: who is told no waits for `nextTurn` and asks again, since others may
 * have taken the next turn before. Work that follows must not wait for anything in between.
 */
export function isTimeLeft(): boolean {
  const now = performance.now();
  if (!isTurnOpen) {
    isTurnOpen = true;
    turnEndsAt = now + TURN_MS;
    setImmediate(endTurn);
  }
  return now <= turnEndsAt;
}

/** Resolves in a later turn, once the event loop has done its other work. */
export function nextTurn(): Promise<void> {
  if (!next) {
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    next = { begun, begin };
    // Where no turn is open, this one opens and ends one.
    isTimeLeft();
  }
  return next.begun;
}

/**
 * Passes items on while the event loop can spare the time that making them takes, and lets it do
 * other work in between.
 */
export async function* inTurns<T>(items: Iterable<T>): AsyncGenerator<T> {
  const iterator = items[Symbol.iterator]();
  for (;;) {
    while (!isTimeLeft()) await nextTurn();
    const item = iterator.next();
    if (item.done) return;
    yield item.value;
  }
}

function endTurn(): void {
  isTurnOpen = false;
  const waiting = next;
  next = undefined;
  waiting?.begin();
}
