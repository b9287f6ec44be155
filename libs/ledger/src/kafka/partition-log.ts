import type { StreamHeaders } from '../ports/ledger-stream.interface.js';
import { KafkaMessage, type MessageOwner, type StoredMessage } from './kafka-message.js';

/** Bytes to prefetch; later messages wait in the topic. */
const AHEAD_BYTES = 524_288;
/** Maximum messages after the lowest unfinished one, because a crash delivers them again. */
const MOST_OUT = 1000;

/** Dependencies of a partition's log. @internal */
export interface PartitionLogParts {
  /** Identity of the topic, which differs from that of a deleted topic with the same name. */
  readonly topicId: string;
  readonly partition: number;
  /** Offset of the first unfinished message. */
  readonly from: bigint;
  readonly reads: (headers: StreamHeaders) => boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Called when something new can be committed or delivered. */
  readonly changed: () => void;
}

interface Waiting {
  readonly stored: StoredMessage;
  readonly redeliveries: number;
  readonly at: number;
}

/**
 * One partition while this process owns it: fetched messages, those with the ledger, and the
 * progress. Messages are delivered in order, except postponed ones. It stops before a message that
 * this process can't read, because an offset covers all messages before it.
 *
 * @internal
 */
export class PartitionLog implements MessageOwner {
  readonly topicId: string;
  readonly partition: number;
  /** Offset to fetch next. */
  position: bigint;
  /** The progress known to the group. */
  committed: bigint;
  /**
   * Another process owns the partition now, or the topic was deleted and made again, so the fate of
   * its messages here has no effect.
   */
  isLost = false;
  readonly #parts: PartitionLogParts;
  readonly #fetched: StoredMessage[] = [];
  #fetchedBytes = 0;
  /** Offsets with the ledger or postponed, ascending. */
  readonly #out = new Set<bigint>();
  readonly #later: Waiting[] = [];

  constructor(parts: PartitionLogParts) {
    this.#parts = parts;
    this.topicId = parts.topicId;
    this.partition = parts.partition;
    this.position = parts.from;
    this.committed = parts.from;
  }

  /** Whether more messages should be fetched. */
  get isHungry(): boolean {
    return this.#fetchedBytes < AHEAD_BYTES;
  }

  /** The offset of the first unfinished message. */
  get doneUpTo(): bigint {
    const [lowest] = this.#out;
    return lowest ?? this.#fetched[0]?.offset ?? this.position;
  }

  /** Time of the next postponed message; Infinity if there is none. */
  get nextAt(): number {
    return this.#later.reduce((next, { at }) => Math.min(next, at), Number.POSITIVE_INFINITY);
  }

  /** Fingerprint of the message before which it stopped; undefined if it did not stop. */
  get stoppedBefore(): string | undefined {
    const [next] = this.#fetched;
    if (next === undefined || this.#parts.reads(next.headers)) return undefined;
    return next.fingerprint;
  }

  /** @param end offset after the last of them, or after skipped records */
  receive(messages: readonly StoredMessage[], end: bigint): void {
    for (const each of messages) {
      if (each.offset < this.position) continue;
      this.#fetched.push(each);
      this.#fetchedBytes += each.payload.length;
    }
    if (end > this.position) this.position = end;
  }

  /** Messages before this offset no longer exist. */
  skipTo(offset: bigint): void {
    this.position = offset;
    this.#fetched.length = 0;
    this.#fetchedBytes = 0;
  }

  /** The next message of at most `maxBytes`; undefined if there is none. */
  next(maxBytes: number): KafkaMessage | undefined {
    const again = this.#nextAgain(maxBytes);
    if (again !== undefined) return again;
    const [stored] = this.#fetched;
    if (stored === undefined || stored.payload.length > maxBytes) return undefined;
    if (stored.offset - this.doneUpTo >= MOST_OUT) return undefined;
    if (!this.#parts.reads(stored.headers)) return undefined;
    this.#fetched.shift();
    this.#fetchedBytes -= stored.payload.length;
    this.#out.add(stored.offset);
    return new KafkaMessage(this, stored, 0);
  }

  #nextAgain(maxBytes: number): KafkaMessage | undefined {
    const now = this.#parts.now();
    const index = this.#later.findIndex(
      ({ at, stored }) => at <= now && stored.payload.length <= maxBytes,
    );
    if (index === -1) return undefined;
    const [{ stored, redeliveries }] = this.#later.splice(index, 1) as [Waiting];
    return new KafkaMessage(this, stored, redeliveries);
  }

  finish({ offset }: StoredMessage): void {
    if (this.isLost) return;
    this.#out.delete(offset);
    this.#parts.changed();
  }

  deliverAgain(stored: StoredMessage, redeliveries: number, ms: number): void {
    if (this.isLost) return;
    this.#later.push({ stored, redeliveries, at: this.#parts.now() + ms });
    this.#parts.changed();
  }
}
