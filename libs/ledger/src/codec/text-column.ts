import { MAX_ID_BYTES, MAX_TEXT_BYTES } from '../entry/ledger-definition.js';
import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { unlike } from './kind-of.js';
import type { RowTarget } from './row-target.js';

/**
 * Up to this many characters a loop is faster than a call into Node's own writer. Source: `npm run
 * bench -- record`, 20 to 40 characters cost the same either way.
 */
const LOOP_CHARACTERS = 32;
/** Maximum UTF-8 bytes of one UTF-16 code unit. */
export const UTF8_PER_UNIT = 3;

/** Upper bound of a text's bytes in UTF-8. */
export function utf8Bound(text: string): number {
  return text.length * UTF8_PER_UNIT;
}

/** Whether a text has more bytes in UTF-8; a text far above the limit is not scanned. */
export function isLonger(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  return utf8Bound(text) > maxBytes && Buffer.byteLength(text) > maxBytes;
}

/** Writes a text as UTF-8, lone surrogates as U+FFFD. @returns the offset after it */
export function writeUtf8(bytes: Buffer, offset: number, text: string): number {
  const { length } = text;
  if (length > LOOP_CHARACTERS) return offset + bytes.write(text, offset);
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) return offset + bytes.write(text, offset);
    bytes[offset + i] = unit;
  }
  return offset + length;
}

/** Writes a text field, its length first. @returns the offset after it */
export function writeTextField(target: RowTarget, offset: number, text: string): number {
  const end = writeUtf8(target.bytes, offset + 4, text);
  target.view.setInt32(offset, end - offset - 4);
  return end;
}

/** The broken rule if PostgreSQL would store a different text; undefined if it stores this one. */
export function inexactRule(text: string): string | undefined {
  if (text.includes('\0')) return 'must be a text without U+0000';
  return text.isWellFormed() ? undefined : 'must be a text without lone surrogates';
}

/** A text field with any rules: keeps the text that `take` allowed, and writes it. */
abstract class TextField implements ColumnCodec {
  maxBytes = 4;
  #text: string | undefined;

  abstract take(value: unknown): string | undefined;

  /** @param text undefined for SQL NULL @param bytes upper bound in UTF-8 */
  protected keep(text: string | undefined, bytes: number): void {
    this.#text = text;
    this.maxBytes = 4 + bytes;
  }

  write(target: RowTarget, offset: number): number {
    if (this.#text === undefined) return writeNull(target, offset);
    return writeTextField(target, offset, this.#text);
  }

  read(source: RowTarget, start: number, end: number): string {
    return source.bytes.toString('utf8', start, end);
  }
}

/** PostgreSQL `text`, at most 8 KiB; U+0000, which the server refuses, becomes U+FFFD. @internal */
export class TextColumn extends TextField {
  take(value: unknown): string | undefined {
    this.keep(undefined, 0);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') return unlike('a string', value);
    if (isLonger(value, MAX_TEXT_BYTES)) {
      return `must be at most ${MAX_TEXT_BYTES} bytes in UTF-8, got more`;
    }
    const text = value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
    if (isLonger(text, MAX_TEXT_BYTES)) {
      return `must be at most ${MAX_TEXT_BYTES} bytes in UTF-8 with U+0000 replaced, got more`;
    }
    this.keep(text, utf8Bound(text));
    return undefined;
  }
}

/**
 * Ids of type text: 1 to 256 bytes. U+0000 and lone surrogates are refused and not replaced,
 * because a replacement could make two ids equal.
 *
 * @internal
 */
export class TextIdColumn extends TextField {
  take(value: unknown): string | undefined {
    this.keep(undefined, 0);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string' || value === '') return unlike('a text of 1 to 256 bytes', value);
    if (isLonger(value, MAX_ID_BYTES)) {
      return `must be a text of 1 to ${MAX_ID_BYTES} bytes, got more`;
    }
    const rule = inexactRule(value);
    if (rule === undefined) this.keep(value, utf8Bound(value));
    return rule;
  }
}

/** `memo`: cut at a code point above 8 KiB; U+0000 becomes U+FFFD. @internal */
export class MemoColumn extends TextField {
  /** Whether the last value was cut. */
  wasCut = false;
  readonly #cutter = new TextEncoder();
  readonly #cut = new Uint8Array(MAX_TEXT_BYTES);

  take(value: unknown): string | undefined {
    this.keep(undefined, 0);
    this.wasCut = false;
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string') return unlike('a string', value);
    // Text after the first 8,192 code units can't be within the first 8 KiB.
    let text = value.length > MAX_TEXT_BYTES ? value.slice(0, MAX_TEXT_BYTES + 1) : value;
    if (text.includes('\0')) text = text.replaceAll('\0', '\ufffd');
    if (utf8Bound(text) > MAX_TEXT_BYTES) text = this.#fit(text);
    this.keep(text, Math.min(utf8Bound(text), MAX_TEXT_BYTES));
    return undefined;
  }

  #fit(text: string): string {
    const { read } = this.#cutter.encodeInto(text, this.#cut);
    this.wasCut = read < text.length;
    return this.wasCut ? text.slice(0, read) : text;
  }
}
