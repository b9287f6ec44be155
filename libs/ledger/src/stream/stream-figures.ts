import type { StreamStats } from '../ports/ledger-stats.interface.js';
import type { StreamWatch } from './stream-watch.js';

/** Counts one process's use of its stream. @internal */
export class StreamFigures {
  readonly #role: StreamStats['role'];
  readonly #watch: StreamWatch;
  #published = 0;
  #publishedBytes = 0;
  #publishMs = 0;
  #redelivered = 0;
  #unacknowledged: () => number = () => 0;

  constructor(role: StreamStats['role'], watch: StreamWatch) {
    this.#role = role;
    this.#watch = watch;
  }

  get watch(): StreamWatch {
    return this.#watch;
  }

  /** @param ms from the call to the stream's answer */
  notePublished(bytes: number, ms: number): void {
    this.#published++;
    this.#publishedBytes += bytes;
    this.#publishMs += ms;
  }

  noteRedelivered(messages: number): void {
    this.#redelivered += messages;
  }

  /** @param count messages that this process took and has not finished */
  countUnacknowledged(count: () => number): void {
    this.#unacknowledged = count;
  }

  get stats(): StreamStats {
    const { seen } = this.#watch;
    return Object.freeze({
      role: this.#role,
      published: this.#published,
      publishedBytes: this.#publishedBytes,
      publishMs: Math.round(this.#publishMs),
      unacknowledged: this.#unacknowledged(),
      redelivered: this.#redelivered,
      waiting:
        seen === undefined
          ? null
          : Object.freeze({
              messages: seen.messages,
              bytes: seen.bytes,
              oldestAgeMs: Math.round(seen.oldestAgeMs),
              unread: seen.unread.reduce((sum, { messages }) => sum + messages, 0),
              at: seen.at,
            }),
    });
  }
}
