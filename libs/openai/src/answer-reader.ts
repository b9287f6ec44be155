import type { CallMeter } from './call-meter.js';
import { isLastEvent } from './endpoints.js';
import type { Fields } from './fields.js';
import { HeldDocument } from './held-document.js';
import { withoutMember } from './json-members.js';
import { dataOf, EventSplitter } from './server-sent-events.js';

/** Blanks of JSON and a byte order mark, which do not identify what follows. */
const BLANK_BYTES = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf]);

/** How an answer was requested, which determines how OpenAI's clients read it. */
export interface ReadingOptions {
  /** The client requested a stream, or the upstream reports one. */
  readonly isStream: boolean;
  /** Only the gateway requested the usage. */
  readonly hidesUsage: boolean;
  /** Its tokens are charged; other answers are passed on unread. */
  readonly isMetered: boolean;
  /** Asks for room for some bytes of an answer that is kept until its end. */
  readonly hold: (bytes: number) => boolean;
}

/** Bytes to send on, and whether some of them end an event. */
export interface ReadPiece {
  readonly bytes: Buffer;
  readonly hasEvent: boolean;
}

/**
 * Reads an answer on its way to the client and shows the meter every part of it. What it returns is
 * what it was given, but for the usage that only the gateway asked for. It goes by the first byte and
 * not by the content type, which many servers get wrong and OpenAI's clients don't look at.
 */
export class AnswerReader {
  private kind: 'events' | 'document' | undefined;
  private readonly events = new EventSplitter();
  private readonly document: HeldDocument;
  /** Whether the answer is over by its own protocol; the connection may stay open. */
  isOver = false;

  constructor(
    private readonly meter: CallMeter,
    private readonly options: ReadingOptions,
  ) {
    this.document = new HeldDocument(options.hold);
  }

  /** @throws Error if an event is above 8 MiB */
  read(piece: Uint8Array): ReadPiece {
    if (!this.options.isMetered) return { bytes: bufferOf(piece), hasEvent: false };
    this.kind ??= kindOf(piece, this.options.isStream);
    if (this.kind === 'events') {
      const events = this.events.push(piece);
      const bytes = Buffer.concat(events.map((event) => this.seen(event)));
      return { bytes, hasEvent: events.length > 0 };
    }
    this.document.add(piece);
    return { bytes: bufferOf(piece), hasEvent: false };
  }

  /** The end of the connection: what is left to send on. */
  end(): Buffer {
    const event = this.events.end();
    if (event) return this.seen(event);
    const isDocument = this.options.isMetered && this.kind !== 'events';
    if (isDocument) this.readDocument(this.document.take());
    return Buffer.alloc(0);
  }

  private readDocument(text: string): void {
    const whole = parsed(text);
    if (whole) return this.meter.saw(whole, true);
    // A stream that begins with something else, or one that was not asked for.
    const parts = text
      .split(/\r\n\r\n|\n\n|\r\r/)
      .map((event) => parsed(dataOf(Buffer.from(event))));
    const found = parts.filter((part) => part !== undefined);
    if (found.length === 0) this.meter.saw({ error: { code: 'unreadable_answer' } });
    for (const part of found) this.meter.saw(part);
  }

  private seen(event: Buffer): Buffer {
    const data = dataOf(event);
    const part = parsed(data);
    if (part) this.meter.saw(part);
    this.isOver ||= isLastEvent(data, part);
    return part && this.options.hidesUsage ? withoutUsage(event, part) : event;
  }
}

/**
 * Takes back out of a stream what comes only because the gateway asked: the chunk without choices
 * that tells the usage, and `"usage":null` in all others. Usage beside choices stays: servers that put
 * it there (Mistral, Perplexity, Together, Groq and others) do so without being asked.
 */
function withoutUsage(event: Buffer, { usage, choices }: Fields): Buffer {
  if (usage === undefined) return event;
  const isEmpty =
    choices === undefined || choices === null || (Array.isArray(choices) && choices.length === 0);
  if (usage !== null) return isEmpty ? Buffer.alloc(0) : event;
  // As Latin-1 each byte stays what it was.
  const text = event.toString('latin1');
  const [before = '', after, ...others] = text.split(',"usage":null');
  // The short way of nearly all chunks: the name stands there once, so it is the outermost member.
  const isOnce = after !== undefined && others.length === 0 && !/"usage"/.test(before + after);
  if (isOnce) return Buffer.from(before + after, 'latin1');
  const start = text.indexOf('{');
  return Buffer.from(text.slice(0, start) + withoutMember(text.slice(start), 'usage'), 'latin1');
}

/** What an answer is by its beginning; undefined while that is blank. */
function kindOf(piece: Uint8Array, isStream: boolean): 'events' | 'document' | undefined {
  const start = piece.findIndex((byte) => !BLANK_BYTES.has(byte));
  if (start < 0) return undefined;
  const begin = bufferOf(piece).toString('latin1', start, start + 8);
  if (/^[{[]/.test(begin)) return 'document';
  return isStream || /^(:|data:|event:|id:|retry:)/.test(begin) ? 'events' : 'document';
}

/** A part of an answer, or undefined for what is none (`[DONE]`, a comment, broken JSON). */
function parsed(text: string): Fields | undefined {
  // Blanks and a byte order mark before it are skipped.
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text.trimStart()) as Fields;
  } catch {
    return undefined;
  }
}

function bufferOf(piece: Uint8Array): Buffer {
  return Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
}
