import { types } from 'node:util';
import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { unlike } from './kind-of.js';
import type { RowTarget } from './row-target.js';

/** 2000-01-01 in milliseconds since 1970: the epoch of PostgreSQL's timestamps. */
export const POSTGRES_EPOCH_MS = 946_684_800_000;
/** The earliest timestamp of PostgreSQL, 4714-11-24 BC. Source: its manual, table 8.9. */
const EARLIEST_MS = -210_866_803_200_000;

/** Milliseconds of a Date of any realm; undefined for other values and invalid dates. */
export function dateMs(value: unknown): number | undefined {
  if (!types.isDate(value)) return undefined;
  const ms = Date.prototype.getTime.call(value);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Writes a timestamptz field. @returns the offset after it */
export function writeTimestamp(target: RowTarget, offset: number, ms: number): number {
  const { view } = target;
  view.setInt32(offset, 8);
  const micros = (ms - POSTGRES_EPOCH_MS) * 1000;
  if (Number.isSafeInteger(micros)) {
    view.setInt32(offset + 4, Math.floor(micros / 2 ** 32));
    view.setUint32(offset + 8, micros >>> 0);
  } else {
    view.setBigInt64(offset + 4, BigInt(ms - POSTGRES_EPOCH_MS) * 1000n);
  }
  return offset + 12;
}

/** Reads a timestamptz field as ISO 8601. */
export function readTimestamp(source: RowTarget, start: number): string {
  const ms = Number(source.view.getBigInt64(start) / 1000n) + POSTGRES_EPOCH_MS;
  return new Date(ms).toISOString();
}

/** A declared `timestamptz` column: a Date, to the millisecond. @internal */
export class TimestampColumn implements ColumnCodec {
  readonly maxBytes = 12;
  #ms: number | undefined;

  take(value: unknown): string | undefined {
    this.#ms = undefined;
    if (value === undefined || value === null) return undefined;
    const ms = dateMs(value);
    if (ms === undefined || ms < EARLIEST_MS) return unlike('a valid Date from 4714 BC on', value);
    this.#ms = ms;
    return undefined;
  }

  write(target: RowTarget, offset: number): number {
    return this.#ms === undefined
      ? writeNull(target, offset)
      : writeTimestamp(target, offset, this.#ms);
  }

  read(source: RowTarget, start: number): string {
    return readTimestamp(source, start);
  }
}

/** A declared `boolean` column. @internal */
export class BooleanColumn implements ColumnCodec {
  readonly maxBytes = 5;
  #value: boolean | undefined;

  take(value: unknown): string | undefined {
    this.#value = undefined;
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'boolean') return unlike('a boolean', value);
    this.#value = value;
    return undefined;
  }

  write(target: RowTarget, offset: number): number {
    if (this.#value === undefined) return writeNull(target, offset);
    target.view.setInt32(offset, 1);
    target.view.setUint8(offset + 4, this.#value ? 1 : 0);
    return offset + 5;
  }

  read(source: RowTarget, start: number): boolean {
    return source.view.getUint8(start) === 1;
  }
}

/** `direction`: `consume` by default, or `supply`. @internal */
export class DirectionColumn implements ColumnCodec {
  readonly maxBytes = 11;
  #isSupply = false;

  take(value: unknown): string | undefined {
    const direction = value ?? 'consume';
    if (direction !== 'consume' && direction !== 'supply') {
      return unlike("'consume' or 'supply'", value);
    }
    this.#isSupply = direction === 'supply';
    return undefined;
  }

  write(target: RowTarget, offset: number): number {
    const { view } = target;
    if (this.#isSupply) {
      view.setInt32(offset, 6);
      view.setUint32(offset + 4, 0x73757070); // 'supp'
      view.setUint16(offset + 8, 0x6c79); // 'ly'
      return offset + 10;
    }
    view.setInt32(offset, 7);
    view.setUint32(offset + 4, 0x636f6e73); // 'cons'
    view.setUint16(offset + 8, 0x756d); // 'um'
    view.setUint8(offset + 10, 0x65); // 'e'
    return offset + 11;
  }

  read(source: RowTarget, start: number, end: number): string {
    return source.bytes.toString('latin1', start, end);
  }
}
