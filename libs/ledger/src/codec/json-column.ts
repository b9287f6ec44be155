import { MAX_TEXT_BYTES } from '../entry/ledger-definition.js';
import { ABSENT, BoundedJson, CYCLE_OR_BIGINT, TOO_LONG } from './bounded-json.js';
import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { kindOf } from './kind-of.js';
import type { RowTarget } from './row-target.js';

/** Version of jsonb's binary form. Source: PostgreSQL, jsonb_recv in src/backend/utils/adt/jsonb.c. */
const JSONB_VERSION = 1;
/**
 * Up to this many bytes a loop over words copies faster than a call into Node. Source: measured.
 */
const LOOP_BYTES = 256;
/** Bytes copied at once. */
const WORD_BYTES = 4;
const OPENING_BRACE = 0x7b;

const SERIALISABLE = 'must be serialisable as JSON';

/** A jsonb field with any rules: keeps the value that `take` allowed, and writes it. */
abstract class JsonbField implements ColumnCodec {
  maxBytes = 4;
  protected readonly json = new BoundedJson(MAX_TEXT_BYTES);
  /** Bytes of the kept value; 0: SQL NULL. */
  #count = 0;

  abstract take(value: unknown): string | undefined;

  /** @param count bytes of `json` to keep, 0 for SQL NULL */
  protected keep(count: number): void {
    this.#count = count;
    this.maxBytes = count === 0 ? 4 : 5 + count;
  }

  /** Like `BoundedJson.write`; a value too deep for the stack is also too long. */
  protected serialise(value: unknown): number {
    try {
      return this.json.write(value);
    } catch (error) {
      if (error instanceof RangeError) return TOO_LONG;
      throw error;
    }
  }

  write(target: RowTarget, offset: number): number {
    if (this.#count === 0) return writeNull(target, offset);
    target.bytes[offset + 4] = JSONB_VERSION;
    const end = this.#writeContent(target, offset + 5);
    target.view.setInt32(offset, end - offset - 4);
    return end;
  }

  #writeContent({ bytes, view }: RowTarget, offset: number): number {
    const { target } = this.json;
    const count = this.#count;
    if (count > LOOP_BYTES) return offset + target.bytes.copy(bytes, offset, 0, count);
    let i = 0;
    for (; i + WORD_BYTES <= count; i += WORD_BYTES) {
      view.setUint32(offset + i, target.view.getUint32(i));
    }
    for (; i < count; i++) bytes[offset + i] = target.bytes[i]!;
    return offset + count;
  }

  read(source: RowTarget, start: number, end: number): unknown {
    return JSON.parse(source.bytes.toString('utf8', start + 1, end));
  }
}

/** A declared `jsonb` column: any JSON value of at most 8 KiB serialised. @internal */
export class JsonColumn extends JsonbField {
  take(value: unknown): string | undefined {
    this.keep(0);
    if (value === undefined || value === null) return undefined;
    try {
      const count = this.serialise(value);
      if (count === ABSENT) return `must be a JSON value, got ${kindOf(value)}`;
      if (count === TOO_LONG) return `must be at most ${MAX_TEXT_BYTES} bytes serialised, got more`;
      if (count === CYCLE_OR_BIGINT) return `${SERIALISABLE}, without cycles and bigints`;
      this.keep(count);
      return undefined;
    } catch {
      return `${SERIALISABLE}, but serialising it threw`;
    }
  }
}

/** `attributes`: a plain JSON object, dropped above 8 KiB serialised. @internal */
export class AttributesColumn extends JsonbField {
  /** Whether the last value was dropped. */
  wasDropped = false;

  take(value: unknown): string | undefined {
    this.keep(0);
    this.wasDropped = false;
    if (value === undefined || value === null) return undefined;
    if (!isPlainObject(value)) return `must be a plain JSON object, got ${kindOf(value)}`;
    try {
      const count = this.serialise(value);
      this.wasDropped = count === TOO_LONG;
      if (this.wasDropped) return undefined;
      if (count === CYCLE_OR_BIGINT) return `${SERIALISABLE}, without cycles and bigints`;
      const isObject = count > 0 && this.json.target.bytes[0] === OPENING_BRACE;
      if (!isObject) return 'must be a JSON object once serialised';
      this.keep(count);
      return undefined;
    } catch {
      return `${SERIALISABLE}, but serialising it threw`;
    }
  }
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm (for example of a test runner) have that realm's Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
