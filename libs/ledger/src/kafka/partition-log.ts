import type { StreamHeaders } from '../ports/ledger-stream.interface.js';
import { KafkaMessage, type MessageOwner, type StoredMessage } from './kafka-message.js';

/** Bytes that are fetched ahead; what is beyond the last fetch waits in the topic. */
const AHEAD_BYTES = 524_288;
/** Messages behind the lowest unfinished one: a crash delivers them again, so they have a bound. */
const MOST_OUT = 1000;

/** What a partition is followed with. @internal */
export interface PartitionLogParts {
  readonly partition: number;
  /** Offset of the first message that is not done. */
  readonly from: bigint;
  readonly reads: (headers: StreamHeaders) => boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Something can be committed or delivered that could not before. */
  readonly changed: () => void;
}

interface Waiting {
  readonly stored: StoredMessage;
  readonly redeliveries: number;
  readonly at: number;
}

/**
 * One partition as long as this process has it: what was fetched, what is with the ledger, and up to where
 * all is done. Messages are delivered in their order, those left for later excepted. It stops before a message
 * that this process can't read, since an offset stands for all messages before it.
 *
 * @internal
 */
export class PartitionLog implements MessageOwner {
  readonly partition: number;
  /** Offset that is fetched next. */
  position: bigint;
  /** What the group knows to be done. */
  committed: bigint;
  /** Another process has the partition now: what becomes of its messages here is of no interest. */
  isLost = false;
  readonly #parts: PartitionLogParts;
  readonly #fetched: StoredMessage[] = [];
  #fetchedBytes = 0;
  /** Offsets with the ledger or left for later, in ascending order. */
  readonly #out = new Set<bigint>();
  readonly #later: Waiting[] = [];

  constructor(parts: PartitionLogParts) {
    this.#parts = parts;
    this.partition = parts.partition;
    this.position = parts.from;
    this.committed = parts.from;
  }

  /** Whether more is to be fetched. */
  get isHungry(): boolean {
    return this.#fetchedBytes < AHEAD_BYTES;
  }

  /** The offset of the first message that is not done. */
  get doneUpTo(): bigint {
    const [lowest] = this.#out;
    return lowest ?? this.#fetched[0]?.offset ?? this.position;
  }

  /** When the next message that was left for later comes; Infinity if there is none. */
  get nextAt(): number {
    return this.#later.reduce((next, { at }) => Math.min(next, at), Number.POSITIVE_INFINITY);
  }

  /** Fingerprint of the message that it stopped before; undefined: it did not stop. */
  get stoppedBefore(): string | undefined {
    const [next] = this.#fetched;
    if (next === undefined || this.#parts.reads(next.headers)) return undefined;
    return next.fingerprint;
  }

  /** @param end offset behind the last of them, or behind what stood there instead */
  receive(messages: readonly StoredMessage[], end: bigint): void {
    for (const each of messages) {
      if (each.offset < this.position) continue;
      this.#fetched.push(each);
      this.#fetchedBytes += each.payload.length;
    }
    if (end > this.position) this.position = end;
  }

  /** Messages before this offset are not there any more. */
  skipTo(offset: bigint): void {
    this.position = offset;
    this.#fetched.length = 0;
    this.#fetchedBytes = 0;
  }

  /** The next message of at most so many bytes; undefined if there is none. */
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
