import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { unlike } from './kind-of.js';
import type { RowTarget } from './row-target.js';

const MAX = 2_147_483_647;

/** PostgreSQL `integer`: a JavaScript integer of 32 bits. @internal */
export class IntegerColumn implements ColumnCodec {
  readonly maxBytes = 8;
  #value = 0;
  #isNull = true;

  take(value: unknown): string | undefined {
    this.#isNull = value === undefined || value === null;
    if (this.#isNull) return undefined;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < -MAX - 1 || value > MAX) {
      return unlike('an integer from -2147483648 to 2147483647', value);
    }
    this.#value = value;
    return undefined;
  }

  write(target: RowTarget, offset: number): number {
    if (this.#isNull) return writeNull(target, offset);
    target.view.setInt32(offset, 4);
    target.view.setInt32(offset + 4, this.#value);
    return offset + 8;
  }

  read(source: RowTarget, start: number): number {
    return source.view.getInt32(start);
  }
}

/** Token counts: 0 to 2,147,483,647, default 0; negative only in a correction. @internal */
export class TokensColumn implements ColumnCodec {
  readonly maxBytes = 8;
  value = 0;

  take(value: unknown): string | undefined {
    const count = value ?? 0;
    if (typeof count !== 'number' || !Number.isInteger(count) || count > MAX || count < -MAX) {
      return unlike('an integer from 0 to 2147483647', value);
    }
    this.value = count;
    return undefined;
  }

  write(target: RowTarget, offset: number): number {
    target.view.setInt32(offset, 4);
    target.view.setInt32(offset + 4, this.value);
    return offset + 8;
  }

  read(source: RowTarget, start: number): number {
    return source.view.getInt32(start);
  }
}
