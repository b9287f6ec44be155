import type { LedgerTable } from '../entry/ledger-definition.js';
import { rowColumnsOf } from '../entry/columns.js';
import { strict as assert } from 'node:assert';
import type { ColumnCodec } from './column-codec.js';
import { createColumn, createIdColumn } from './create-column.js';
import { EntryParser } from './entry-parser.js';
import type { RowTarget } from './row-target.js';
import { writeTimestamp } from './plain-columns.js';
import { KeyUuid } from './key-uuid.js';
import { isTimeOfTry, markTimeOfTry } from './time-of-try.js';
import { formatUuid, renewUuidV7, writeUuidSequence, writeUuidV7 } from './uuid.js';

/** Offset of the uuid's 16 bytes in a row, after the field count and the field's length. */
const UUID_OFFSET = 6;
const FIELD_COUNT_BYTES = 2;
const UUID_FIELD_BYTES = 20;

/**
 * One entry <-> one binary COPY row, by the columns of a definition: an int16 with the number of
 * fields, then for each field an int32 with its length (-1 for NULL) and its bytes. Source:
 * PostgreSQL's manual, COPY, binary format.
 *
 * Call `parse`, then `encode` directly after it, because the codec keeps the parsed values.
 *
 * @internal
 */
export class RowCodec {
  readonly parser: EntryParser;
  readonly #declared: readonly ColumnCodec[];
  readonly #fieldCount: number;
  readonly #isTimeInKeys: boolean;
  readonly #keyUuid = new KeyUuid();
  readonly #fields: readonly (readonly [field: string, column: ColumnCodec])[];

  constructor(table: LedgerTable) {
    const ids = [0, 1, 2].map(() => createIdColumn(table.ids));
    const names = Object.keys(table.columns);
    this.#declared = names.map((name) => createColumn(table.columns[name]!));
    this.#isTimeInKeys = table.partition !== undefined;
    this.parser = new EntryParser({
      ids,
      names,
      declared: this.#declared,
      keysNeedTime: this.#isTimeInKeys,
      isUuidV7Only: table.uuids === 'v7',
    });
    this.#fields = this.parser.fields;
    const columns = rowColumnsOf(table);
    this.#fieldCount = columns.length;
    // `encode` names each column: a loop would make every call of `write` megamorphic.
    assert.deepEqual(
      ['uuid', ...this.#fields.map(([field]) => field)],
      columns.map(({ field }) => field),
    );
  }

  /** Names of all fields that an entry may have. */
  get fieldNames(): string[] {
    return this.parser.fieldNames;
  }

  /** Upper bound of the last parsed entry's row, in bytes. */
  get maxRowBytes(): number {
    return FIELD_COUNT_BYTES + UUID_FIELD_BYTES + this.parser.maxBytes;
  }

  /**
   * Writes the row of the last parsed entry.
   * @param offset at least `maxRowBytes` must follow it
   * @returns the offset after the row
   */
  encode(target: RowTarget, offset: number, id: { run: number; sequence: number }): number {
    const { parser } = this;
    target.view.setInt16(offset, this.#fieldCount);
    target.view.setInt32(offset + 2, 16);
    this.#writeUuid(target, offset + UUID_OFFSET, id);
    let end = offset + FIELD_COUNT_BYTES + UUID_FIELD_BYTES;
    end = parser.userId.write(target, end);
    end = parser.apiKeyId.write(target, end);
    end = parser.serviceId.write(target, end);
    end = parser.promptTokens.write(target, end);
    end = parser.completionTokens.write(target, end);
    end = parser.direction.write(target, end);
    end = parser.memo.write(target, end);
    end = parser.attributes.write(target, end);
    end = parser.corrects.write(target, end);
    end = writeTimestamp(target, end, parser.createdAtMs);
    if (parser.isTimeOfTry) markTimeOfTry(target, end);
    for (const column of this.#declared) end = column.write(target, end);
    return end;
  }

  #writeUuid(target: RowTarget, offset: number, id: { run: number; sequence: number }): void {
    const { parser } = this;
    if (parser.idempotencyKey !== undefined) {
      const ms = this.#isTimeInKeys ? parser.createdAtMs : undefined;
      const { userId, idempotencyKey: key } = parser;
      this.#keyUuid.write(target, offset, { userId, key, ms });
    } else if (parser.uuid.isNull) {
      writeUuidV7(target, offset, parser.createdAtMs, id);
    } else {
      parser.uuid.write(target, offset - 4);
    }
  }

  /** Sets the sequence of an encoded row, for rows encoded before it was known. */
  resequence(target: RowTarget, offset: number, id: { run: number; sequence: number }): void {
    writeUuidSequence(target, offset + UUID_OFFSET, id.run, id.sequence);
  }

  /** The uuid of an encoded row. */
  static uuidOf(row: Uint8Array, offset = 0): string {
    return formatUuid(row, offset + UUID_OFFSET);
  }

  /**
   * Gives an encoded row another UUIDv7 of the same time, outside every run. Changes the row in
   * place.
   */
  static renewUuid(row: Buffer): void {
    renewUuidV7(row, UUID_OFFSET);
  }

  /** The 16 bytes of an encoded row's uuid. */
  static uuidViewOf(row: Buffer): DataView {
    return new DataView(row.buffer, row.byteOffset + UUID_OFFSET, 16);
  }

  /** The entry of an encoded row as plain JSON; its fields can be passed to `record()` again. */
  decode(row: Buffer): Record<string, unknown> {
    const view = new DataView(row.buffer, row.byteOffset, row.length);
    const source = { bytes: row, view };
    const entry: Record<string, unknown> = { uuid: RowCodec.uuidOf(row) };
    let offset = FIELD_COUNT_BYTES + UUID_FIELD_BYTES;
    for (const [field, column] of this.#fields) {
      const length = view.getInt32(offset);
      offset += 4;
      const end = offset + Math.max(length, 0);
      entry[field] = length < 0 ? null : column.read(source, offset, end);
      offset = end;
    }
    return entry;
  }

  /**
   * Whether `createdAt` of an encoded row is the time of one try, which another try may not repeat.
   */
  isTimeOfTry(row: Buffer): boolean {
    const view = new DataView(row.buffer, row.byteOffset, row.length);
    let offset = FIELD_COUNT_BYTES + UUID_FIELD_BYTES;
    for (const [field] of this.#fields) {
      if (field === 'createdAt') return isTimeOfTry({ bytes: row, view }, offset + 4);
      offset += 4 + Math.max(view.getInt32(offset), 0);
    }
    return false;
  }
}
