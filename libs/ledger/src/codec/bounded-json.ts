import { types } from 'node:util';
import { createRowTarget } from './row-target.js';
import { writeUtf8 } from './text-column.js';

/** What is written before the next look at the limit: a number, a literal and some marks. */
const SLACK_BYTES = 64;
/** Levels of arrays and objects. Each costs a call and two bytes at least. */
const MAX_DEPTH = 1000;
/** Longest whole part of a number that is written digit by digit: those of a 31-bit integer. */
const MAX_DIGITS = 10;
const MAX_SMALL_INTEGER = 2 ** 31 - 1;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** What JSON.stringify leaves in a text that jsonb refuses: U+0000 and lone surrogates. */
const REFUSED_ESCAPE = /\\u(?:0000|d[89a-f])/;

/** Answers of `write` other than a length. `ABSENT`: there is no JSON of it, as of a function. */
export const TOO_LONG = -1;
export const CYCLE_OR_BIGINT = -2;
export const ABSENT = -3;

type Keyed = Readonly<Record<string, unknown>>;

/** The part of newer runtimes that JSON.stringify knows. */
const { isRawJSON } = JSON as { isRawJSON?: (value: unknown) => boolean };

/**
 * Writes a value as the bytes that JSON.stringify would make, and stops where they become too long, so
 * that the time it takes is bounded by the limit, and not by the value. What it cannot bound is the
 * time of a getter or a `toJSON`, and that in which the engine lists the keys of one object: V8 collects all of
 * them before `for…in` gives the first one, and so do Object.keys, Reflect.ownKeys, a spread and JSON.stringify
 * with a replacer that throws. Figures: docs/performance.md, "What a huge entry costs".
 * JSON.stringify itself can't be stopped but by a replacer, which makes it three times slower.
 *
 * Each property is read once. Lone surrogates and U+0000 become U+FFFD, since jsonb refuses them.
 * A plain object takes less than half the time of JSON.stringify, and there is no string in between.
 * Source: `npm run bench -- record`, large entries.
 *
 * @internal
 */
export class BoundedJson {
  /** What was written last begins at 0. */
  readonly target;
  readonly #bytes: Buffer;
  readonly #maxBytes: number;
  /** Objects that a failure went through on its way out; one that comes twice is a cycle. */
  #failed: Set<object> | undefined;
  #isCyclic = false;

  /** @param maxBytes of the text in UTF-8 */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.target = createRowTarget(maxBytes + SLACK_BYTES);
    this.#bytes = this.target.bytes;
  }

  /** @returns bytes written, or one of the answers above @throws whatever a getter or `toJSON` throws */
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

  /** @returns offset behind the value, or one of the answers */
  #value(value: unknown, key: string, at: number, depth: number): number {
    if (typeof value === 'string') return writeText(this.#bytes, at, value, this.#maxBytes);
    if (typeof value === 'number') return writeNumber(this.#bytes, at, value);
    if (value === null) return writeAscii(this.#bytes, at, 'null');
    if (typeof value === 'boolean') return writeAscii(this.#bytes, at, value ? 'true' : 'false');
    if (typeof value === 'undefined' || typeof value === 'symbol') return ABSENT;
    return this.#object(value, key, at, depth);
  }

  /** Objects, and what may have a `toJSON` like them: functions and bigints. */
  #object(given: object | bigint, key: string, at: number, depth: number): number {
    const { toJSON } = given as { readonly toJSON?: unknown };
    let value: unknown = given;
    if (typeof toJSON === 'function') {
      // It would make an array of all bytes first, each of which is a digit and a comma at least.
      const isBuffer = toJSON === (Buffer.prototype as { readonly toJSON: unknown }).toJSON;
      if (isBuffer && (given as Buffer).length > this.#maxBytes) return TOO_LONG;
      value = (toJSON as (this: unknown, key: string) => unknown).call(given, key);
      // Its answer is written as it is, without asking it for a toJSON of its own.
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

  /** On the way out of a failure: costs nothing where there is none. */
  #note(value: object): void {
    this.#failed ??= new Set();
    if (this.#failed.has(value)) this.#isCyclic = true;
    this.#failed.add(value);
  }

  /** Objects around a number, a text or a boolean, raw JSON, instances of classes, all the rest. */
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
    // A digit and a comma for each element, at least.
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
      // What an application added to Object.prototype is none of the object's own.
      if (!Object.hasOwn(object, key)) continue;
      const value = object[key];
      if (value === undefined && ++absent <= maxBytes) continue;
      const before = at;
      if (at > start + 1) bytes[at++] = 0x2c; // ,
      at = writeText(bytes, at, key, maxBytes);
      if (at < 0) return at;
      bytes[at++] = 0x3a; // :
      // Most values are texts and numbers: they need no further call.
      if (typeof value === 'string') at = writeText(bytes, at, value, maxBytes);
      else if (typeof value === 'number') at = writeNumber(bytes, at, value);
      else at = this.#value(value, key, at, depth + 1);
      if (at < 0) {
        // Members without a value leave nothing behind but the time that they take.
        if (at !== ABSENT || ++absent > maxBytes) return at === ABSENT ? TOO_LONG : at;
        at = before;
      }
      if (at > maxBytes) return TOO_LONG;
    }
    bytes[at++] = 0x7d; // }
    return at;
  }
}

/** An object literal without a `toJSON`, as nearly all are. */
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

/** @param maxBytes of all that is written */
function writeText(bytes: Buffer, at: number, text: string, maxBytes: number): number {
  const { length } = text;
  // Characters are bytes at least; a long text is not looked at.
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

/** Text that is JSON already. */
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
