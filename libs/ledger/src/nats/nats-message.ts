import type { Msg } from '@nats-io/transport-node';
import type { StreamHeaders, StreamMessage } from '../ports/ledger-stream.interface.js';

/**
 * Acknowledgements: payloads sent to the message's reply subject. Source:
 * https://docs.nats.io/reference/reference-protocols/nats_api_reference, "Acknowledging Messages"
 */
const ACK = '+ACK';
const NAK = '-NAK';
const IN_PROGRESS = '+WPI';

/**
 * Tokens of a reply subject of servers before 2.11, and the positions of its figures; later servers
 * insert two tokens before them.
 */
const SHORT_REPLY_TOKENS = 9;
const STREAM_AT = 2;
const DELIVERED_AT = 4;
const PENDING_AT = 8;
const MORE_TOKENS = 2;

/** A message of JetStream taken by this process. @internal */
export class NatsMessage implements StreamMessage {
  readonly payload: Buffer;
  readonly redeliveries: number;
  /** Messages of its consumer that were undelivered at its delivery. */
  readonly pending: number;
  readonly #msg: Msg;
  #isOver = false;

  constructor(msg: Msg) {
    this.#msg = msg;
    const { buffer, byteOffset, length } = msg.data;
    this.payload = Buffer.from(buffer, byteOffset, length);
    const tokens = (msg.reply ?? '').split('.');
    const shift = tokens.length > SHORT_REPLY_TOKENS ? MORE_TOKENS : 0;
    this.redeliveries = Math.max(0, numberOf(tokens[DELIVERED_AT + shift]) - 1);
    this.pending = numberOf(tokens[PENDING_AT + shift]);
  }

  get headers(): StreamHeaders {
    return headersOf(this.#msg.headers);
  }

  done(): void {
    this.#end(ACK);
  }

  later(ms: number): void {
    this.#end(ms > 0 ? `${NAK} ${JSON.stringify({ delay: ms * 1_000_000 })}` : NAK);
  }

  alive(): void {
    if (!this.#isOver) this.#respond(IN_PROGRESS);
  }

  #end(text: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#respond(text);
  }

  /**
   * If the acknowledgement can't be sent, the message is delivered again, and its rows are then
   * duplicates.
   */
  #respond(text: string): void {
    try {
      this.#msg.respond(text);
    } catch {
      // The connection was closed.
    }
  }
}

/** The subjects of all acknowledgements of the stream that a reply subject belongs to. @internal */
export function acknowledgementsOf(reply: string): string {
  const tokens = reply.split('.');
  const shift = tokens.length > SHORT_REPLY_TOKENS ? MORE_TOKENS : 0;
  return `${tokens.slice(0, STREAM_AT + shift + 1).join('.')}.>`;
}

function numberOf(token: string | undefined): number {
  const value = Number(token);
  return Number.isSafeInteger(value) ? value : 0;
}

/** Without the headers of the server and the client, such as `Nats-Msg-Id`. @internal */
export function headersOf(headers: Msg['headers']): StreamHeaders {
  const own: Record<string, string> = {};
  for (const [name, values] of headers ?? []) {
    if (!name.startsWith('Nats-')) own[name] = values.at(-1)!;
  }
  return own;
}
