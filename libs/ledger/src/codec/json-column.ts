import { MAX_TEXT_BYTES } from '../entry/ledger-definition.js';
import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { NOT_FLAT, writeFlatJson } from './flat-json.js';
import { kindOf } from './kind-of.js';
import { createRowTarget, type RowTarget } from './row-target.js';
import { utf8Bound, writeUtf8 } from './text-column.js';

/** Version of jsonb's binary form. Source: PostgreSQL, jsonb_recv in src/backend/utils/adt/jsonb.c. */
const JSONB_VERSION = 1;
/** What JSON.stringify leaves in a text that jsonb refuses: U+0000 and lone surrogates. */
const REFUSED_ESCAPE = /\\u(?:0000|d[89a-f])/;

/**
 * JSON text that jsonb takes. Lone surrogates and U+0000 inside strings become U+FFFD.
 * @throws whatever a `toJSON` or a getter throws; TypeError for a cycle or a bigint
 */
export function toJsonbText(value: unknown): string | undefined {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined || !REFUSED_ESCAPE.test(text)) return text;
  return JSON.stringify(JSON.parse(text, (_, part: unknown) => withoutRefused(part)));
}

function withoutRefused(part: unknown): unknown {
  if (typeof part === 'string') return clean(part);
  if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
  return Object.fromEntries(Object.entries(part).map(([key, inner]) => [clean(key), inner]));
}

function clean(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}

/** Up to this many bytes a loop over words copies faster than a call into Node. Source: measured. */
const LOOP_BYTES = 256;
/** Bytes of a word; the last one may reach as many less one behind the text. */
const WORD_BYTES = 4;

/** A field of jsonb, whatever its rules are: keeps what `take` allowed, and writes it. */
abstract class JsonbField implements ColumnCodec {
  maxBytes = 4;
  #text: string | undefined;
  /** A flat object's serialised form, and how much of it there is. */
  readonly #flat = createRowTarget(MAX_TEXT_BYTES + WORD_BYTES);
  #flatBytes = 0;

  abstract take(value: unknown): string | undefined;

  /** @param text undefined for SQL NULL */
  protected keep(text: string | undefined): void {
    this.#flatBytes = 0;
    this.#text = text;
    this.maxBytes = text === undefined ? 4 : 5 + utf8Bound(text);
  }

  /** Keeps an object if it is flat and not too long. @throws whatever a getter throws */
  protected keepFlat(object: object): boolean {
    const bytes = writeFlatJson(object, this.#flat.bytes);
    if (bytes === NOT_FLAT || bytes > MAX_TEXT_BYTES) return false;
    this.#flatBytes = bytes;
    this.maxBytes = 5 + bytes + WORD_BYTES;
    return true;
  }

  write(target: RowTarget, offset: number): number {
    if (this.#flatBytes === 0 && this.#text === undefined) return writeNull(target, offset);
    target.bytes[offset + 4] = JSONB_VERSION;
    const end = this.#writeContent(target, offset + 5);
    target.view.setInt32(offset, end - offset - 4);
    return end;
  }

  #writeContent({ bytes, view }: RowTarget, offset: number): number {
    if (this.#text !== undefined) return writeUtf8(bytes, offset, this.#text);
    const flat = this.#flat;
    const count = this.#flatBytes;
    if (count > LOOP_BYTES) return offset + flat.bytes.copy(bytes, offset, 0, count);
    for (let i = 0; i < count; i += WORD_BYTES) {
      view.setUint32(offset + i, flat.view.getUint32(i));
    }
    return offset + count;
  }

  read(source: RowTarget, start: number, end: number): unknown {
    return JSON.parse(source.bytes.toString('utf8', start + 1, end));
  }
}

function isTooLong(text: string): boolean {
  return utf8Bound(text) > MAX_TEXT_BYTES && Buffer.byteLength(text) > MAX_TEXT_BYTES;
}

/** Why a value can't be serialised, without its content. */
function serialiseRule(error: unknown): string {
  return error instanceof TypeError
    ? 'must be serialisable as JSON, without cycles and bigints'
    : 'must be serialisable as JSON, but serialising it threw';
}

/** A declared `jsonb` column: any JSON value of at most 8 KiB serialised. @internal */
export class JsonColumn extends JsonbField {
  take(value: unknown): string | undefined {
    this.keep(undefined);
    if (value === undefined || value === null) return undefined;
    let text: string | undefined;
    try {
      if (isPlainObject(value) && this.keepFlat(value)) return undefined;
      text = toJsonbText(value);
    } catch (error) {
      return serialiseRule(error);
    }
    if (text === undefined) return `must be a JSON value, got ${kindOf(value)}`;
    if (isTooLong(text)) return `must be at most ${MAX_TEXT_BYTES} bytes serialised, got more`;
    this.keep(text);
    return undefined;
  }
}

/** `attributes`: a plain JSON object, left out above 8 KiB serialised. @internal */
export class AttributesColumn extends JsonbField {
  /** Whether the value taken last was left out. */
  wasDropped = false;

  take(value: unknown): string | undefined {
    this.keep(undefined);
    this.wasDropped = false;
    if (value === undefined || value === null) return undefined;
    if (!isPlainObject(value)) return `must be a plain JSON object, got ${kindOf(value)}`;
    let text: string | undefined;
    try {
      if (this.keepFlat(value)) return undefined;
      text = toJsonbText(value);
    } catch (error) {
      // Too deep or too long to serialise at all is above 8 KiB in any case.
      this.wasDropped = error instanceof RangeError;
      return this.wasDropped ? undefined : serialiseRule(error);
    }
    if (text?.charCodeAt(0) !== 123) return 'must be a JSON object once serialised';
    this.wasDropped = isTooLong(text);
    if (this.wasDropped) return undefined;
    this.keep(text);
    return undefined;
  }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (a test runner's, say) have that realm's Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
