import type {
  ColumnType,
  DeclaredColumns,
  IdType,
  LedgerTable,
  PartitionPeriod,
} from './ledger-definition.js';

/** An id as a caller gives it: bigint ids as number, bigint or decimal string, others as string. @inline */
export type IdInput<T extends IdType> = T extends 'bigint' ? number | bigint | string : string;

/** A declared column's value as a caller gives it; `null` and `undefined` are SQL NULL. */
export type ColumnInput<T extends ColumnType> = {
  text: string;
  bigint: number | bigint | string;
  integer: number;
  numeric: number | bigint | string;
  boolean: boolean;
  uuid: string;
  timestamptz: Date;
  jsonb: unknown;
}[T];

/** A declared column's value as reads return it: plain JSON, `bigint` and `numeric` as strings. */
export type ColumnOutput<T extends ColumnType> = {
  text: string;
  bigint: string;
  integer: number;
  numeric: string;
  boolean: boolean;
  uuid: string;
  timestamptz: string;
  jsonb: unknown;
}[T];

/** `consume`: the user spent tokens. `supply`: tokens were given to the user. @inline */
export type Direction = 'consume' | 'supply';

/** Fields of an entry in every ledger; `undefined` means not given. */
export interface EntryFields<Ids extends IdType> {
  userId: IdInput<Ids>;
  apiKeyId?: IdInput<Ids> | null | undefined;
  serviceId?: IdInput<Ids> | null | undefined;
  /** 0 to 2,147,483,647; default 0. Negative only with `corrects`. */
  promptTokens?: number | null | undefined;
  /** 0 to 2,147,483,647; default 0. Negative only with `corrects`. */
  completionTokens?: number | null | undefined;
  /** Default `consume`. */
  direction?: Direction | null | undefined;
  /** Free text; cut at 8 KiB. */
  memo?: string | null | undefined;
  /** A plain JSON object; left out above 8 KiB serialised. */
  attributes?: Readonly<Record<string, unknown>> | null | undefined;
  /** Uuid of the entry that this one corrects. */
  corrects?: string | null | undefined;
}

/** An entry that is identified by its uuid. @inline */
interface WithUuid {
  /** From 2000 to one day ahead; milliseconds. Default: now. */
  createdAt?: Date | null | undefined;
  /**
   * Primary key, and idempotency key of the entry. Any UUID except the ledger's own kinds (of this
   * run, or of an idempotency key). Default: a UUIDv7 of `createdAt`. `newEntryUuid()` creates one.
   */
  uuid?: string | null | undefined;
  idempotencyKey?: null | undefined;
}

/** An entry that is identified by the caller's key. @inline */
interface WithIdempotencyKey {
  /**
   * From 2000 to one day ahead; milliseconds. Default: now. If given, it is compared: the same key
   * with another time is a conflict. If not given, the time of the first attempt is kept.
   */
  createdAt?: Date | null | undefined;
  uuid?: null | undefined;
  /**
   * 1 to 256 bytes. The uuid is derived from `userId` and this key, so the same key of the same
   * user is always the same entry.
   */
  idempotencyKey: string;
}

/** The same in a partitioned table, whose uuids contain the time. @inline */
interface WithKeyAndTime {
  /** Must be the same at each attempt, because it is part of the uuid. */
  createdAt: Date;
  uuid?: null | undefined;
  /** 1 to 256 bytes; the same key of the same user at the same `createdAt` is the same entry. */
  idempotencyKey: string;
}

/**
 * How an entry may be identified by a key: partitions need its time, uuids of version 7 allow no
 * key.
 */
type WithKeyOf<T> = T extends { readonly uuids: 'v7' }
  ? never
  : T extends { readonly partition: PartitionPeriod }
    ? WithKeyAndTime
    : WithIdempotencyKey;

/** One usage fact as given to `record()`, typed by the ledger's definition. @publicApi */
export type UsageEntry<T extends LedgerTable = LedgerTable<'bigint', {}>> = EntryFields<T['ids']> &
  (WithUuid | WithKeyOf<T>) &
  DeclaredFields<T['columns']>;

/** Without columns it is `unknown`: an intersection with `{}` would let unknown fields pass. */
type DeclaredFields<Columns extends DeclaredColumns> = keyof Columns extends never
  ? unknown
  : { -readonly [K in keyof Columns]?: ColumnInput<Columns[K]> | null | undefined };

/**
 * Makes unknown properties of an entry a type error, in variables and function results too.
 * TypeScript alone reports them in object literals only.
 */
export type NoUnknownFields<T extends LedgerTable, Entry> = {
  readonly [
    K in Exclude<KeysOf<Entry>, FieldOf<T>>
  ]?: `${K & string} is not a field of this ledger`;
};

/** Names of all fields that entries of a ledger may have. */
type FieldOf<T extends LedgerTable> =
  keyof EntryFields<IdType> | keyof WithUuid | keyof T['columns'];

/** Names of the properties of each of a union's members, or of an array's elements. */
type KeysOf<Entry> = Entry extends readonly (infer Element)[]
  ? KeysOf<Element>
  : Entry extends unknown
    ? keyof Entry
    : never;

/** One entry as reads return it: plain JSON, times as ISO 8601 strings. @publicApi */
export type StoredEntry<T extends LedgerTable = LedgerTable<'bigint', {}>> = {
  uuid: string;
  userId: string;
  apiKeyId: string | null;
  serviceId: string | null;
  promptTokens: number;
  completionTokens: number;
  direction: Direction;
  memo: string | null;
  attributes: Record<string, unknown> | null;
  corrects: string | null;
  createdAt: string;
} & { -readonly [K in keyof T['columns']]: ColumnOutput<T['columns'][K]> | null };
