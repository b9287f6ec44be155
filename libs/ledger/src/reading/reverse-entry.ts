import { hash } from 'node:crypto';
import { createRowTarget } from '../codec/row-target.js';
import { formatUuid, writeDigestUuidV7, writeUuidV8 } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type { CheckedReversal } from './parse-reverse-options.js';

/** How an entry is reversed. @publicApi */
export interface ReverseOptions<T extends LedgerTable = LedgerTable<'bigint', {}>> {
  /** Stands in the reversing entry's `memo`; 1 byte to 8 KiB. */
  readonly reason: string;
  /**
   * When the opposite is booked. `original` (default): at the entry's own time. `now`: at the present,
   * so that reports of a closed period stay the same; a partitioned table keeps it in the partition of
   * the entry.
   */
  readonly bookedAt?: 'original' | 'now' | undefined;
  /** Declared numbers that are no amounts (a status, a version): taken over as they are. */
  readonly keep?: readonly (keyof T['columns'] & string)[];
}

/** Options of a reversal, checked, and the present. */
export interface Reversing extends CheckedReversal {
  readonly now: Date;
}

const AMOUNTS = ['bigint', 'integer', 'numeric'];
const ZERO = /^-?0+(\.0*)?$/;

/**
 * The uuid of the entry that reverses another: always the same, so that a second reversal is a
 * duplicate. A UUIDv8 of the entry's time and a digest of its uuid; a UUIDv7 where all uuids are.
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
 * The opposite entry: tokens and declared amounts with the other sign, ids, direction and other
 * declared columns the same, at the same time unless it is to be booked now. `memo` is the reason, `attributes` are left out, and `writtenAt` shows that it came later.
 *
 * The lowest integer or bigint has no opposite of its type: the codec refuses that entry, and
 * whoever records it gets a `LedgerEntryInvalidError` that names the column.
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
