import type { ColumnType, IdType } from '../entry/ledger-definition.js';
import { BigintColumn } from './bigint-column.js';
import type { ColumnCodec } from './column-codec.js';
import { IntegerColumn } from './integer-column.js';
import { JsonColumn } from './json-column.js';
import { NumericColumn } from './numeric-column.js';
import { BooleanColumn, TimestampColumn } from './plain-columns.js';
import { TextColumn, TextIdColumn } from './text-column.js';
import { UuidColumn } from './uuid-column.js';

/** The codec of `userId`, `apiKeyId` or `serviceId`. */
export function createIdColumn(type: IdType): ColumnCodec {
  if (type === 'bigint') return new BigintColumn(true);
  return type === 'uuid' ? new UuidColumn() : new TextIdColumn();
}

/** The codec of a column that the application declared. */
export function createColumn(type: ColumnType): ColumnCodec {
  switch (type) {
    case 'text':
      return new TextColumn();
    case 'bigint':
      return new BigintColumn(false);
    case 'integer':
      return new IntegerColumn();
    case 'numeric':
      return new NumericColumn();
    case 'boolean':
      return new BooleanColumn();
    case 'uuid':
      return new UuidColumn();
    case 'timestamptz':
      return new TimestampColumn();
    case 'jsonb':
      return new JsonColumn();
  }
}
