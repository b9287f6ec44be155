import { hash } from 'node:crypto';
import { createRowTarget } from '../codec/row-target.js';
import { formatUuid, writeDigestUuidV7, writeUuidV8 } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type { CheckedReversal } from './parse-reverse-options.js';

/** How an entry is reversed. @publicApi */
export interface ReverseOptions<T extends LedgerTable = LedgerTable<'bigint', {}>> {
  /** The reversing entry's `memo`; 1 byte to 8 KiB. */
  readonly reason: string;
  /**
   * Time of the reversing entry. `original` (default): the entry's own time. `now`: the current
   * time, so that reports of a closed period stay the same. In a partitioned table it is stored in
   * the partition of the original entry.
   */
  readonly bookedAt?: 'original' | 'now' | undefined;
  /** Declared numbers that are not amounts (a status, a version), which are copied unchanged. */
  readonly keep?: readonly (keyof T['columns'] & string)[];
}

/** Checked options of a reversal, and the current time. */
export interface Reversing extends CheckedReversal {
  readonly now: Date;
}

const AMOUNTS = ['bigint', 'integer', 'numeric'];
const ZERO = /^-?0+(\.0*)?$/;

/**
 * The uuid of the reversing entry. It is deterministic, so that a second reversal is a duplicate. A
 * UUIDv8 of the entry's time and a digest of its uuid; a UUIDv7 if the definition requires it.
 */
export function reversalUuid(
  { uuids }: LedgerTable,
  { uuid, createdAt }: StoredEntry<LedgerTable>,
): string {
  const target = createRowTarget(16);
  const digest = hash('sha256', `reversal of ${uuid}`, 'buffer');
  const write = uuids === 'v7' ? writeDigestUuidV7 : writeUuidV8;
  write(target, 0, new Date(createdAt).getTime(), digest);
  return formatUuid(target.bytes, 0);
}

/**
 * The opposite entry: negated tokens and declared amounts, and the same ids, direction and other
 * declared columns, at the same time unless it is booked now. `memo` is the reason, `attributes`
 * are omitted, and `writtenAt` shows that it was booked later.
 *
 * The lowest integer or bigint has no opposite in its type. The codec refuses that entry with a
 * `LedgerEntryInvalidError` that names the column.
 */
export function reversalOf(
  table: LedgerTable,
  entry: StoredEntry<LedgerTable>,
  { reason, keep, bookedAt, now }: Reversing,
): Record<string, unknown> {
  const declared: Record<string, unknown> = {};
  for (const [field, type] of Object.entries(table.columns)) {
    const value = (entry as Record<string, unknown>)[field] ?? null;
    const isAmount = value !== null && AMOUNTS.includes(type) && !keep.includes(field);
    const isTime = value !== null && type === 'timestamptz';
    if (isAmount) declared[field] = opposite(value as string | number);
    else declared[field] = isTime ? new Date(value as string) : value;
  }
  const { userId, apiKeyId, serviceId, direction, promptTokens, completionTokens } = entry;
  return {
    userId,
    apiKeyId,
    serviceId,
    direction,
    memo: reason,
    promptTokens: opposite(promptTokens),
    completionTokens: opposite(completionTokens),
    createdAt: bookedAt === 'now' ? now : new Date(entry.createdAt),
    corrects: entry.uuid,
    uuid: reversalUuid(table, entry),
    ...declared,
  };
}

function opposite<T extends string | number>(value: T): T {
  if (typeof value === 'number') return (value === 0 ? 0 : -value) as T;
  if (ZERO.test(value) || value === 'NaN') return value;
  return (value.startsWith('-') ? value.slice(1) : `-${value}`) as T;
}
