import { types } from 'node:util';
import { createRowTarget } from './row-target.js';
import { writeUtf8 } from './text-column.js';

/** Bytes written at most between two checks of the limit: a number, a literal and some marks. */
const SLACK_BYTES = 64;
/** Maximum depth of arrays and objects. Each level costs a call and at least two bytes. */
const MAX_DEPTH = 1000;
/** Integers of at most this many digits, those of 31 bits, are written digit by digit. */
const MAX_DIGITS = 10;
const MAX_SMALL_INTEGER = 2 ** 31 - 1;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Escapes in the output of JSON.stringify that jsonb refuses: U+0000 and lone surrogates. */
const REFUSED_ESCAPE = /\\u(?:0000|d[89a-f])/;

/**
 * Results of `write` other than a length. `ABSENT`: the value has no JSON form, for example a
 * function.
 */
export const TOO_LONG = -1;
export const CYCLE_OR_BIGINT = -2;
export const ABSENT = -3;

type Keyed = Readonly<Record<string, unknown>>;

/** Newer runtimes only. */
const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean };

/**
 * Writes the same bytes as JSON.stringify, and stops when they exceed the limit. The limit and not
 * the value therefore bounds the time. Two things stay unbounded: the time of a getter or `toJSON`,
 * and the time in which the engine lists the keys of one object. V8 collects all keys before
 * `for…in` gives the first one. Object.keys, Reflect.ownKeys, a spread and JSON.stringify with a
 * throwing replacer do the same. Figures: docs/performance.md, "What a huge entry costs". Only a
 * replacer can stop JSON.stringify, and a replacer makes it three times slower.
 *
 * Each property is read once. Lone surrogates and U+0000 become U+FFFD, because jsonb refuses them.
 * A plain object takes less than half the time of JSON.stringify, without an intermediate string.
 * Source: `npm run bench -- record`, large entries.
 *
 * @internal
 */
export class BoundedJson {
  /** The last written text begins at 0. */
  readonly target;
  readonly #bytes: Buffer;
  readonly #maxBytes: number;
  /** Objects that contain a failed value; an object that appears twice is part of a cycle. */
  #failed: Set<object> | undefined;
  #isCyclic = false;

  /** @param maxBytes of the text in UTF-8 */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.target = createRowTarget(maxBytes + SLACK_BYTES);
    this.#bytes = this.target.bytes;
  }

  /**
   * @returns bytes written, or one of the results above
   * @throws any error of a getter or `toJSON`
   */
  write(value: unknown): number {
    if (this.#failed !== undefined) {
      this.#failed = undefined;
      this.#isCyclic = false;
    }
    const end = isPlain(value) ? this.#members(value, 0, 0) : this.#value(value, '', 0, 0);
    if (end > this.#maxBytes || end === TOO_LONG)
      return this.#isCyclic ? CYCLE_OR_BIGINT : TOO_LONG;
    return end;
  }

  /** @returns offset after the value, or one of the results above */
  #value(value: unknown, key: string, at: number, depth: number): number {
    if (typeof value === 'string') return writeText(this.#bytes, at, value, this.#maxBytes);
    if (typeof value === 'number') return writeNumber(this.#bytes, at, value);
    if (value === null) return writeAscii(this.#bytes, at, 'null');
    if (typeof value === 'boolean') return writeAscii(this.#bytes, at, value ? 'true' : 'false');
    if (typeof value === 'undefined' || typeof value === 'symbol') return ABSENT;
    return this.#object(value, key, at, depth);
  }

  /** Objects, functions and bigints, which may all have a `toJSON`. */
  #object(given: object | bigint, key: string, at: number, depth: number): number {
    const { toJSON } = given as { readonly toJSON?: unknown };
    let value: unknown = given;
    if (typeof toJSON === 'function') {
      // Its toJSON would first make an array of all bytes, each at least a digit and a comma.
      const isBuffer = toJSON === (Buffer.prototype as { readonly toJSON: unknown }).toJSON;
      if (isBuffer && (given as Buffer).length > this.#maxBytes) return TOO_LONG;
      value = (toJSON as (this: unknown, key: string) => unknown).call(given, key);
      // JSON.stringify calls no second toJSON on the answer.
      if (typeof value !== 'object' || value === null) {
        if (typeof value === 'bigint') return CYCLE_OR_BIGINT;
        return typeof value === 'function' ? ABSENT : this.#value(value, key, at, depth);
      }
    }
    if (typeof value === 'bigint') return CYCLE_OR_BIGINT;
    if (typeof value === 'function') return ABSENT;
    return this.#container(value as object, at, depth);
  }

  #container(value: object, at: number, depth: number): number {
    let end = TOO_LONG;
    if (depth <= MAX_DEPTH) {
      if (Array.isArray(value)) end = this.#array(value, at, depth);
      else {
        const prototype: unknown = Object.getPrototypeOf(value);
        if (prototype === Object.prototype) end = this.#members(value as Keyed, at, depth);
        else end = this.#other(value, at, depth);
      }
    }
    if (end === TOO_LONG) this.#note(value);
    return end;
  }

  /** Called only after a failure, so that success costs nothing. */
  #note(value: object): void {
    this.#failed ??= new Set();
    if (this.#failed.has(value)) this.#isCyclic = true;
    this.#failed.add(value);
  }

  /** Boxed numbers, texts and booleans, raw JSON, class instances, and all other objects. */
  #other(value: object, at: number, depth: number): number {
    if (types.isBoxedPrimitive(value)) {
      if (types.isNumberObject(value)) return writeNumber(this.#bytes, at, Number(value));
      if (types.isStringObject(value))
        return writeText(this.#bytes, at, String(value), this.#maxBytes);
      if (types.isBooleanObject(value)) {
        return writeAscii(
          this.#bytes,
          at,
          Boolean.prototype.valueOf.call(value) ? 'true' : 'false',
        );
      }
      if (types.isBigIntObject(value)) return CYCLE_OR_BIGINT;
    }
    if (types.isTypedArray(value) && value.length > this.#maxBytes) return TOO_LONG;
    if (isRawJSON?.(value) === true)
      return writeRaw(this.#bytes, at, (value as { rawJSON: string }).rawJSON, this.#maxBytes);
    return this.#members(value as Keyed, at, depth);
  }

  #array(values: readonly unknown[], start: number, depth: number): number {
    const { length } = values;
    // Each element takes at least a digit and a comma.
    if (start + 2 * length > this.#maxBytes + 1) return TOO_LONG;
    const bytes = this.#bytes;
    let at = start;
    bytes[at++] = 0x5b; // [
    for (let i = 0; i < length; i++) {
      if (i > 0) bytes[at++] = 0x2c; // ,
      const end = this.#value(values[i], String(i), at, depth + 1);
      at = end === ABSENT ? writeAscii(this.#bytes, at, 'null') : end;
      if (at < 0) return at;
      if (at > this.#maxBytes) return TOO_LONG;
    }
    bytes[at++] = 0x5d; // ]
    return at;
  }

  #members(object: Keyed, start: number, depth: number): number {
    const bytes = this.#bytes;
    const maxBytes = this.#maxBytes;
    let at = start;
    let absent = 0;
    bytes[at++] = 0x7b; // {
    for (const key in object) {
      // Inherited properties, for example those added to Object.prototype, are left out.
      if (!Object.hasOwn(object, key)) continue;
      const value = object[key];
      if (value === undefined && ++absent <= maxBytes) continue;
      const before = at;
      if (at > start + 1) bytes[at++] = 0x2c; // ,
      at = writeText(bytes, at, key, maxBytes);
      if (at < 0) return at;
      bytes[at++] = 0x3a; // :
      // Most values are texts and numbers: these branches save a call.
      if (typeof value === 'string') at = writeText(bytes, at, value, maxBytes);
      else if (typeof value === 'number') at = writeNumber(bytes, at, value);
      else at = this.#value(value, key, at, depth + 1);
      if (at < 0) {
        // Members without a value write nothing, but they cost time.
        if (at !== ABSENT || ++absent > maxBytes) return at === ABSENT ? TOO_LONG : at;
        at = before;
      }
      if (at > maxBytes) return TOO_LONG;
    }
    bytes[at++] = 0x7d; // }
    return at;
  }
}

/** Whether a value is an object literal without a `toJSON`, like nearly all. */
function isPlain(value: unknown): value is Keyed {
  if (typeof value !== 'object' || value === null) return false;
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  return typeof (value as Keyed)['toJSON'] !== 'function';
}

function writeNumber(bytes: Buffer, at: number, value: number): number {
  if (!Number.isFinite(value)) return writeAscii(bytes, at, 'null');
  if (!Number.isInteger(value) || value < 0 || value > MAX_SMALL_INTEGER) {
    return writeAscii(bytes, at, String(value));
  }
  let digits = 1;
  for (let power = 10; power <= value && digits < MAX_DIGITS; power *= 10) digits++;
  for (let i = at + digits - 1, rest = value; i >= at; i--) {
    const tenth = Math.trunc(rest / 10);
    bytes[i] = 0x30 + rest - tenth * 10;
    rest = tenth;
  }
  return at + digits;
}

function writeAscii(bytes: Buffer, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** @param maxBytes of the whole text */
function writeText(bytes: Buffer, at: number, text: string, maxBytes: number): number {
  const { length } = text;
  // A character takes at least one byte, so a long text is not scanned.
  if (at + length > maxBytes) return TOO_LONG;
  bytes[at] = QUOTE;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) {
      return writeRaw(bytes, at, quoted(text), maxBytes);
    }
    bytes[at + 1 + i] = unit;
  }
  bytes[at + 1 + length] = QUOTE;
  return at + length + 2;
}

/** Writes text that already is JSON. */
function writeRaw(bytes: Buffer, at: number, json: string, maxBytes: number): number {
  const room = maxBytes - at;
  if (json.length > room || Buffer.byteLength(json) > room) return TOO_LONG;
  return writeUtf8(bytes, at, json);
}

function quoted(text: string): string {
  const json = JSON.stringify(text);
  if (!REFUSED_ESCAPE.test(json)) return json;
  return JSON.stringify(text.toWellFormed().replaceAll('\0', '\ufffd'));
}
