import type { StreamHeaders, StreamMessage } from '../ports/ledger-stream.interface.js';

/** A message stored in a partition. @internal */
export interface StoredMessage {
  readonly offset: bigint;
  /** Milliseconds since 1970, by its gateway's clock. */
  readonly timestamp: number;
  /** Fingerprint of its rows' layout, which gateways use as the key. */
  readonly fingerprint: string;
  readonly headers: StreamHeaders;
  readonly payload: Buffer;
}

/** Receives the fate of a message. @internal */
export interface MessageOwner {
  finish(stored: StoredMessage): void;
  deliverAgain(stored: StoredMessage, redeliveries: number, ms: number): void;
}

/**
 * One delivery of a message. Its partition belongs to this process, so it needs no sign of life.
 *
 * @internal
 */
export class KafkaMessage implements StreamMessage {
  #isOver = false;

  constructor(
    private readonly owner: MessageOwner,
    private readonly stored: StoredMessage,
    readonly redeliveries: number,
  ) {}

  get headers(): StreamHeaders {
    return this.stored.headers;
  }

  get payload(): Buffer {
    return this.stored.payload;
  }

  done(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.owner.finish(this.stored);
  }

  later(ms: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.owner.deliverAgain(this.stored, this.redeliveries + 1, ms);
  }

  alive(): void {}
}

/** The parts of a record batch needed for its messages. @internal */
export interface FetchedBatch {
  readonly firstOffset: bigint;
  readonly firstTimestamp: bigint;
  readonly attributes: number;
  readonly records: readonly {
    readonly offsetDelta: number;
    readonly timestampDelta: bigint;
    readonly key: Buffer | null;
    readonly value: Buffer | null;
    readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
  }[];
}

/**
 * Bit of a batch without messages: a mark of a transaction. Source: Kafka's record batch,
 * `attributes`.
 */
const IS_CONTROL = 0x20;

/**
 * The messages of fetched batches from an offset on; the first batch may begin before it.
 *
 * @internal
 */
export function messagesOf(batches: readonly FetchedBatch[], from: bigint): StoredMessage[] {
  const messages: StoredMessage[] = [];
  for (const { firstOffset, firstTimestamp, attributes, records } of batches) {
    if ((attributes & IS_CONTROL) !== 0) continue;
    for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
      const offset = firstOffset + BigInt(offsetDelta);
      if (offset < from) continue;
      messages.push({
        offset,
        timestamp: Number(firstTimestamp + timestampDelta),
        fingerprint: textOf(key) || 'unknown',
        headers: headersOf(headers),
        payload: value ?? Buffer.alloc(0),
      });
    }
  }
  return messages;
}

/**
 * The offset after the last batch, including marks of transactions; undefined if there is none.
 *
 * @internal
 */
export function endOf(
  batches: readonly (FetchedBatch & { readonly lastOffsetDelta: number })[],
): bigint | undefined {
  const last = batches.at(-1);
  return last === undefined ? undefined : last.firstOffset + BigInt(last.lastOffsetDelta) + 1n;
}

function headersOf(headers: readonly (readonly [Buffer | null, Buffer | null])[]): StreamHeaders {
  const named: Record<string, string> = {};
  for (const [name, value] of headers) named[textOf(name)] = textOf(value);
  return named;
}

function textOf(bytes: Buffer | null): string {
  return bytes === null ? '' : bytes.toString();
}
