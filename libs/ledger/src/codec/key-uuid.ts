import { hash } from 'node:crypto';
import { MAX_ID_BYTES } from '../entry/ledger-definition.js';
import type { ColumnCodec } from './column-codec.js';
import { createRowTarget, type RowTarget } from './row-target.js';
import { UTF8_PER_UNIT, writeUtf8 } from './text-column.js';
import { writeTimelessUuidV8, writeUuidV8 } from './uuid.js';

/** The identity of a keyed entry. */
export interface EntryKey {
  /** Contains the user's id, so that keys of different users differ. */
  readonly userId: ColumnCodec;
  readonly key: string;
  /** Milliseconds since 1970, for a ledger with partitions by uuid. */
  readonly ms: number | undefined;
}

/**
 * Makes the uuid of an idempotency key: a UUIDv8 of SHA-256 over user and key. The user's id is
 * encoded as a row's field, with its length first. Two different pairs of user and key therefore
 * never have the same bytes, and `7`, `7n` and `'7'` are one user.
 *
 * @internal
 */
export class KeyUuid {
  readonly #content = createRowTarget(4 + 2 * UTF8_PER_UNIT * MAX_ID_BYTES);

  write(target: RowTarget, offset: number, { userId, key, ms }: EntryKey): void {
    const { bytes } = this.#content;
    const end = writeUtf8(bytes, userId.write(this.#content, 0), key);
    const digest = hash('sha256', bytes.subarray(0, end), 'buffer');
    if (ms === undefined) writeTimelessUuidV8(target, offset, digest);
    else writeUuidV8(target, offset, ms, digest);
  }
}
