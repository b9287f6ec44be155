import type { Duplex } from 'node:stream';
import { realTimers } from '../clock/real-timers.js';

/**
 * Writes whole messages to a socket without blocking the event loop: one piece a turn, and none
 * while the socket has not drained. Never throws, never writes to an ended socket.
 *
 * Not started -> running (`start`) -> done (all written to the socket), or stopped (`stop`, the
 * socket ended, or the source of the pieces threw).
 *
 * @internal
 */
export class StreamPump {
  #isStopped = false;
  #next: IteratorResult<readonly Buffer[], unknown> | undefined;

  /**
   * @param pieces each a list of parts that belong together, about 256 KiB; not copied, so they
   *   must not change until the socket has sent them
   * @param onFault called once if the source of the pieces threw
   */
  constructor(
    private readonly stream: Duplex,
    private readonly pieces: Iterator<readonly Buffer[]>,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** True once the last piece is written to the socket: from then on it may arrive. */
  get isDone(): boolean {
    return this.#next?.done === true;
  }

  start(): void {
    this.#turn();
  }

  /** Drops everything not yet written to the socket. */
  stop(): void {
    this.#isStopped = true;
    this.stream.removeListener('drain', this.#afterDrain);
  }

  /** A turn must also pass after `drain`: a fast reader drains the socket within the same one. */
  readonly #afterDrain = (): void => {
    realTimers.setImmediate(this.#turn);
  };

  readonly #turn = (): void => {
    if (this.#isStopped) return;
    const { stream } = this;
    // An ended socket notifies the client, and the client notifies the statement.
    if (!stream.writable) return this.stop();
    try {
      const piece = this.#next ?? this.pieces.next();
      if (piece.done) return;
      // Looks ahead, so that the last piece is known before its first byte is written.
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
