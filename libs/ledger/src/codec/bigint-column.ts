import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { unlike } from './kind-of.js';
import type { RowTarget } from './row-target.js';

const MAX = 2n ** 63n - 1n;
const MIN = -(2n ** 63n);
const TWO_32 = 2 ** 32;
/** Numbers of this many decimal digits are always below 2^53 and therefore exact. */
const SAFE_DIGITS = 15;

/** PostgreSQL `bigint`, exact up to 2^63 - 1 as number, bigint or decimal string. @internal */
export class BigintColumn implements ColumnCodec {
  readonly maxBytes = 12;
  readonly #isId: boolean;
  readonly #rule: string;
  #high = 0;
  #low = 0;
  #isNull = true;

  /** @param isId ids start at 1; other columns use the whole range */
  constructor(isId: boolean) {
    this.#isId = isId;
    this.#rule = isId ? 'an integer from 1 to 2^63 - 1' : 'an integer from -2^63 to 2^63 - 1';
  }

  take(value: unknown): string | undefined {
    this.#isNull = value === undefined || value === null;
    if (this.#isNull) return undefined;
    if (typeof value === 'number') return this.#takeNumber(value);
    if (typeof value === 'bigint') return this.#takeBigint(value, value);
    if (typeof value === 'string') return this.#takeString(value);
    return unlike(this.#rule, value);
  }

  #takeNumber(value: number): string | undefined {
    if (!Number.isSafeInteger(value) || (this.#isId && value < 1)) return unlike(this.#rule, value);
    this.#high = Math.floor(value / TWO_32);
    this.#low = value >>> 0;
    return undefined;
  }

  #takeString(value: string): string | undefined {
    const isNegative = value.charCodeAt(0) === 45;
    const first = isNegative ? 1 : 0;
    const digits = value.length - first;
    if (digits < 1 || digits > 19) return unlike(this.#rule, value);
    let number = 0;
    for (let i = first; i < value.length; i++) {
      const digit = value.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) return unlike(this.#rule, value);
      number = number * 10 + digit;
    }
    if (digits > SAFE_DIGITS) return this.#takeBigint(BigInt(value), value);
    return this.#takeNumber(isNegative ? -number : number);
  }

  #takeBigint(value: bigint, given: unknown): string | undefined {
    if (value > MAX || value < (this.#isId ? 1n : MIN)) return unlike(this.#rule, given);
    this.#high = Number(BigInt.asIntN(32, value >> 32n));
    this.#low = Number(BigInt.asUintN(32, value));
    return undefined;
  }

  write(target: RowTarget, offset: number): number {
    if (this.#isNull) return writeNull(target, offset);
    const { view } = target;
    view.setInt32(offset, 8);
    view.setInt32(offset + 4, this.#high);
    view.setUint32(offset + 8, this.#low);
    return offset + 12;
  }

  read(source: RowTarget, start: number): string {
    return source.view.getBigInt64(start).toString();
  }
}
