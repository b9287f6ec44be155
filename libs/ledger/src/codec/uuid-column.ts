import type { ColumnCodec } from './column-codec.js';
import { writeNull } from './column-codec.js';
import { unlike } from './kind-of.js';
import { createRowTarget, type RowTarget } from './row-target.js';
import { formatUuid, parseUuid } from './uuid.js';

/** PostgreSQL `uuid`, in the 8-4-4-4-12 form, in either case. @internal */
export class UuidColumn implements ColumnCodec {
  readonly maxBytes = 20;
  readonly #kept = createRowTarget(16);
  isNull = true;

  take(value: unknown): string | undefined {
    this.isNull = value === undefined || value === null;
    if (this.isNull) return undefined;
    if (typeof value !== 'string' || !parseUuid(value, this.#kept.bytes, 0)) {
      this.isNull = true;
      return unlike('a uuid of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx', value);
    }
    return undefined;
  }

  /** The 16 bytes of the last uuid; undefined content if it was NULL. */
  get view(): DataView {
    return this.#kept.view;
  }

  /** The last uuid, in lower case; undefined if it was NULL. */
  get text(): string | undefined {
    return this.isNull ? undefined : formatUuid(this.#kept.bytes, 0);
  }

  write(target: RowTarget, offset: number): number {
    if (this.isNull) return writeNull(target, offset);
    const { view } = target;
    const kept = this.#kept.view;
    view.setInt32(offset, 16);
    view.setUint32(offset + 4, kept.getUint32(0));
    view.setUint32(offset + 8, kept.getUint32(4));
    view.setUint32(offset + 12, kept.getUint32(8));
    view.setUint32(offset + 16, kept.getUint32(12));
    return offset + 20;
  }

  read(source: RowTarget, start: number): string {
    return formatUuid(source.bytes, start);
  }
}
