import { MAX_TEXT_BYTES } from '../entry/ledger-definition.js';
import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { unlike } from './kind-of.js';
import type { RowTarget } from './row-target.js';

/**
 * Fraction digits require a point: with `\.?` a text of many digits would match in as many ways.
 */
const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/;
const NEGATIVE = 0x4000;
const RULE = `a finite number, a bigint or a decimal text of at most ${MAX_TEXT_BYTES} digits`;

/** Bigints with more digits are not converted to text: a huge one takes seconds. */
const END_OF_BIGINTS = 10n ** BigInt(MAX_TEXT_BYTES);

function isNumeric(value: unknown): value is string | number | bigint {
  if (typeof value === 'string') return value.length <= MAX_TEXT_BYTES;
  if (typeof value === 'bigint') return value < END_OF_BIGINTS && value > -END_OF_BIGINTS;
  return typeof value === 'number';
}

/**
 * PostgreSQL `numeric`, exact for decimal texts and bigints; a number counts as its shortest
 * decimal text. Source of the binary form: numeric_recv in src/backend/utils/adt/numeric.c (digits
 * of base 10,000, weight of the first, sign, digits after the point).
 *
 * @internal
 */
export class NumericColumn implements ColumnCodec {
  maxBytes = 4;
  #isNull = true;
  #sign = 0;
  #weight = 0;
  #scale = 0;
  #digits = '';

  take(value: unknown): string | undefined {
    this.#isNull = value === undefined || value === null;
    this.maxBytes = 4;
    if (this.#isNull) return undefined;
    if (!isNumeric(value)) return unlike(RULE, value);
    const match = DECIMAL.exec(`${value}`);
    if (match === null || !(match[2] || match[3])) return unlike(RULE, value);
    const [, sign, whole = '', fraction = '', exponent = '0'] = match;
    if (!this.#shift(whole, fraction, Number(exponent))) return unlike(RULE, value);
    this.#sign = sign === '-' && /[1-9]/.test(this.#digits) ? NEGATIVE : 0;
    this.maxBytes = 12 + (this.#digits.length / 4) * 2;
    return undefined;
  }

  /** Moves the point by the exponent and pads both sides to groups of four digits. */
  #shift(whole: string, fraction: string, exponent: number): boolean {
    const digits = whole + fraction;
    const point = whole.length + exponent;
    if (point > MAX_TEXT_BYTES || digits.length - point > MAX_TEXT_BYTES) return false;
    let left = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '';
    let right = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
    if (left.length + right.length > 2 * MAX_TEXT_BYTES) return false;
    this.#scale = right.length;
    left = left.replace(/^0+/, '');
    left = left.padStart(Math.ceil(left.length / 4) * 4, '0');
    right = right.padEnd(Math.ceil(right.length / 4) * 4, '0');
    this.#weight = left.length / 4 - 1;
    this.#digits = left + right;
    return true;
  }

  write(target: RowTarget, offset: number): number {
    if (this.#isNull) return writeNull(target, offset);
    const { view } = target;
    const groups = this.#digits.length / 4;
    view.setInt32(offset, 8 + groups * 2);
    view.setInt16(offset + 4, groups);
    view.setInt16(offset + 6, this.#weight);
    view.setUint16(offset + 8, this.#sign);
    view.setUint16(offset + 10, this.#scale);
    for (let group = 0; group < groups; group++) {
      const digits = this.#digits.slice(group * 4, group * 4 + 4);
      view.setInt16(offset + 12 + group * 2, Number(digits));
    }
    return offset + 12 + groups * 2;
  }

  read(source: RowTarget, start: number): string {
    const { view } = source;
    const groups = view.getInt16(start);
    const weight = view.getInt16(start + 2);
    const scale = view.getUint16(start + 6);
    let digits = '';
    for (let group = 0; group < groups; group++) {
      digits += String(view.getInt16(start + 8 + group * 2)).padStart(4, '0');
    }
    const point = (weight + 1) * 4;
    const whole = digits.slice(0, point).replace(/^0+/, '') || '0';
    const fraction = digits.slice(point).padEnd(scale, '0').slice(0, scale);
    const sign = view.getUint16(start + 4) === NEGATIVE ? '-' : '';
    return sign + whole + (scale > 0 ? `.${fraction}` : '');
  }
}
