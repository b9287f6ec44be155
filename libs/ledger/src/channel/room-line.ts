import type { Clock, Timer } from '../clock/clock.js';
import { onAbort } from './on-abort.js';

/** A caller that waits for room, with its entry already encoded. @internal */
export interface WaitingCaller {
  /** The encoded row, in separate memory. */
  readonly row: Buffer;
  /**
   * Called once, synchronously, when the entry gets its place. It copies the row into the channel.
   */
  readonly admit: () => void;
  /** Called once when the wait ends without a place. */
  readonly refuse: (why: RefusedWait) => void;
}

/** Why a wait for room ended: its time limit, the caller's signal, or the seal. */
export type RefusedWait = 'timeout' | 'aborted' | 'sealed';

interface Place {
  caller: WaitingCaller | undefined;
  timer: Timer | undefined;
  stopListening: (() => void) | undefined;
}

/** Limits of one wait. */
export interface WaitLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Callers that wait for room, first come, first served. The place of a caller whose wait ended is
 * skipped at its turn.
 *
 * @internal
 */
export class RoomLine {
  /** Number of waiting callers. */
  waiting = 0;
  /** Bytes of their rows. */
  #bytes = 0;
  readonly #maxWaiting: number;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  #places: Place[] = [];
  #first = 0;

  /** @param bounds maximum of waiting callers, and of the bytes of all their rows */
  constructor(bounds: { maxWaiting: number; maxBytes: number }, clock: Clock) {
    this.#maxWaiting = bounds.maxWaiting;
    this.#maxBytes = bounds.maxBytes;
    this.#clock = clock;
  }

  /** Whether one more caller may wait, with a row of this size. */
  hasPlace(rowBytes: number): boolean {
    return this.waiting < this.#maxWaiting && this.#bytes + rowBytes <= this.#maxBytes;
  }

  /** Adds a caller at the end of the line. */
  join(caller: WaitingCaller, limits: WaitLimits): void {
    const place: Place = { caller, timer: undefined, stopListening: undefined };
    const end = (why: RefusedWait): void => this.#leave(place)?.refuse(why);
    place.timer = this.#clock.after(limits.timeoutMs, () => end('timeout'));
    const { signal } = limits;
    if (signal !== undefined) place.stopListening = onAbort(signal, () => end('aborted'));
    this.#places.push(place);
    this.waiting++;
    this.#bytes += caller.row.length;
  }

  /** Admits callers from the front while there is room for the first. */
  admit(hasRoom: (rowBytes: number) => boolean): void {
    while (this.waiting > 0) {
      const place = this.#places[this.#first]!;
      if (place.caller !== undefined && !hasRoom(place.caller.row.length)) return;
      this.#first++;
      this.#leave(place)?.admit();
    }
    this.#places = [];
    this.#first = 0;
  }

  /** Ends all waits without a place. */
  refuseAll(): void {
    const places = this.#places.slice(this.#first);
    this.#places = [];
    this.#first = 0;
    for (const place of places) this.#leave(place)?.refuse('sealed');
  }

  #leave(place: Place): WaitingCaller | undefined {
    const { caller } = place;
    if (caller === undefined) return undefined;
    place.caller = undefined;
    place.timer?.cancel();
    place.stopListening?.();
    this.waiting--;
    this.#bytes -= caller.row.length;
    this.#compact();
    return caller;
  }

  /** Abandoned places must not pile up in front of a caller that waits long. */
  #compact(): void {
    if (this.#places.length < 2 * this.waiting + 1024) return;
    this.#places = this.#places.slice(this.#first).filter((each) => each.caller !== undefined);
    this.#first = 0;
  }
}
