import type { Duplex } from 'node:stream';
import { realTimers } from '../clock/real-timers.js';

/**
 * Writes whole messages to a socket without holding the event loop: one piece a turn, and none
 * while the socket has not drained. Never throws, never writes to a socket that ended.
 *
 * Not started -> running (`start`) -> done (all handed to the socket), or stopped (`stop`, the
 * socket ended, or the source of the pieces threw).
 *
 * @internal
 */
export class StreamPump {
  #isStopped = false;
  #next: IteratorResult<readonly Buffer[], unknown> | undefined;

  /**
   * @param pieces each a list of parts that belong together, about 256 KiB; not copied, so that they
   *   must stay as they are until the socket has sent them
   * @param onFault told once if the source of the pieces threw
   */
  constructor(
    private readonly stream: Duplex,
    private readonly pieces: Iterator<readonly Buffer[]>,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** True as soon as the last piece is handed to the socket: from then on it may arrive. */
  get isDone(): boolean {
    return this.#next?.done === true;
  }

  start(): void {
    this.#turn();
  }

  /** Drops what was not handed to the socket yet. */
  stop(): void {
    this.#isStopped = true;
    this.stream.removeListener('drain', this.#afterDrain);
  }

  /** After `drain` too a turn must pass: a fast reader drains the socket within the same one. */
  readonly #afterDrain = (): void => {
    realTimers.setImmediate(this.#turn);
  };

  readonly #turn = (): void => {
    if (this.#isStopped) return;
    const { stream } = this;
    // A socket that ended tells the client by itself, and the client tells the statement.
    if (!stream.writable) return this.stop();
    try {
      const piece = this.#next ?? this.pieces.next();
      if (piece.done) return;
      // Looks ahead, so that the last piece is known as such before its first byte is written.
      this.#next = this.pieces.next();
      this.#write(piece.value);
    } catch (error) {
      this.stop();
      this.onFault(error);
      return;
    }
    if (this.isDone) return;
    if (stream.writableNeedDrain) stream.once('drain', this.#afterDrain);
    else realTimers.setImmediate(this.#turn);
  };

  #write(parts: readonly Buffer[]): void {
    const { stream } = this;
    stream.cork();
    try {
      for (const part of parts) stream.write(part);
    } finally {
      stream.uncork();
    }
  }
}
