/**
 * Milliseconds for making, reading and counting texts in one turn of the event loop, over all
 * calls.
 */
const TURN_MS = 2;

let isTurnOpen = false;
let turnEndsAt = 0;
let next: { readonly begun: Promise<void>; readonly begin: () => void } | undefined;

/**
 * Whether this turn of the event loop has time for one more piece of work. All calls share a turn.
 * If not, the caller waits for `nextTurn` and asks again, because others may have used the next
 * turn before. The following work must not wait in between.
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
    // If no turn is open, this call opens and ends one.
    isTimeLeft();
  }
  return next.begun;
}

/**
 * Passes items on while the event loop has time for making them, and lets it do other work in
 * between.
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
