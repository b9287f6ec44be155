import type { ColumnCodec } from './column-codec.js';
import { TokensColumn } from './integer-column.js';
import { AttributesColumn } from './json-column.js';
import { kindOf, unlike } from './kind-of.js';
import { dateMs, DirectionColumn, TimestampColumn } from './plain-columns.js';
import { MemoColumn, TextIdColumn } from './text-column.js';
import { NO_NAMES, UnknownFields } from './unknown-fields.js';
import { UuidColumn } from './uuid-column.js';
import { isTimelessUuidV8, isUuidV7 } from './uuid.js';

/** The earliest `createdAt` is in 2000. */
const EARLIEST_CREATED_AT = Date.UTC(2000, 0, 1);
/** `createdAt` may lie up to one day ahead, because clocks of machines differ by no more. */
const MAX_AHEAD_MS = 86_400_000;
/**
 * While the clock is behind the last entry by at most this many milliseconds, entries get that
 * entry's time. Source: steps of NTP are shorter, and a clock that was wrong for longer must not
 * date later entries.
 */
const MAX_SET_BACK_MS = 10_000;
const FIXED_BYTES = 2 * 8 + 12;
/** The uuid of a key has no time, so it is not a UUIDv7. */
const NO_KEYS =
  'must not be given in a ledger of UUIDv7 only (uuids: v7): give the uuid of newEntryUuid(), the same at each try';

/** The rule that an entry breaks. */
export interface EntryFault {
  /** Name of the field as the caller writes it, or `entry`. */
  readonly field: string;
  /** The rule, and the kind of the given value; never the value. */
  readonly rule: string;
}

/** A getter or toJSON that records another entry would mix the two entries. */
export const RECORDED_BY_GETTER: EntryFault = {
  field: 'entry',
  rule: 'must not be recorded by a getter',
};

/** The part of a definition that checks an entry. */
export interface ParsedColumns {
  /** Of `userId`, `apiKeyId` and `serviceId`. */
  readonly ids: readonly ColumnCodec[];
  /** Declared fields of the application, and their columns in the same order. */
  readonly names: readonly string[];
  readonly declared: readonly ColumnCodec[];
  /**
   * Whether the uuid of an idempotency key contains `createdAt`, as required by partitions by uuid.
   */
  readonly keysNeedTime: boolean;
  /** Whether the table accepts only UUIDv7. */
  readonly isUuidV7Only: boolean;
}

type Given = Readonly<Record<string, unknown>>;

/**
 * Checks the fields of an entry and keeps their values. Each property is read once, so the checked
 * value is the encoded value even if a getter changes its answer.
 *
 * @internal
 */
export class EntryParser {
  readonly uuid = new UuidColumn();
  readonly userId: ColumnCodec;
  readonly apiKeyId: ColumnCodec;
  readonly serviceId: ColumnCodec;
  readonly promptTokens = new TokensColumn();
  readonly completionTokens = new TokensColumn();
  readonly direction = new DirectionColumn();
  readonly memo = new MemoColumn();
  readonly attributes = new AttributesColumn();
  readonly corrects = new UuidColumn();
  idempotencyKey: string | undefined;
  createdAtMs = 0;
  /**
   * Whether the ledger chose `createdAtMs` although the uuid comes from a key: another try at the
   * same entry has another time, and is the same entry.
   */
  isTimeOfTry = false;
  /** Properties of the last entry that match no field. */
  unknown: readonly string[] = NO_NAMES;

  readonly #unknownFields: UnknownFields;
  readonly #names: readonly string[];
  readonly #declared: readonly ColumnCodec[];
  readonly #keysNeedTime: boolean;
  readonly #isUuidV7Only: boolean;
  /** A key has the rules of a text id: replaced characters could make two keys equal. */
  readonly #key = new TextIdColumn();
  #latestMs = 0;
  #isParsing = false;
  #field = 'entry';

  constructor({ ids, names, declared, keysNeedTime, isUuidV7Only }: ParsedColumns) {
    [this.userId, this.apiKeyId, this.serviceId] = ids as [ColumnCodec, ColumnCodec, ColumnCodec];
    this.#names = names;
    this.#declared = declared;
    this.#keysNeedTime = keysNeedTime;
    this.#isUuidV7Only = isUuidV7Only;
    this.#unknownFields = new UnknownFields(this.fieldNames);
  }

  /** Names of all fields that an entry may have. */
  get fieldNames(): string[] {
    return ['uuid', 'idempotencyKey', ...this.fields.map(([field]) => field)];
  }

  /** Fields after the uuid, in row order. */
  get fields(): [field: string, column: ColumnCodec][] {
    return [
      ['userId', this.userId],
      ['apiKeyId', this.apiKeyId],
      ['serviceId', this.serviceId],
      ['promptTokens', this.promptTokens],
      ['completionTokens', this.completionTokens],
      ['direction', this.direction],
      ['memo', this.memo],
      ['attributes', this.attributes],
      ['corrects', this.corrects],
      ['createdAt', new TimestampColumn()],
      ...this.#names.map((name, i): [string, ColumnCodec] => [name, this.#declared[i]!]),
    ];
  }

  /** Upper bound of the fields after the uuid, in bytes. */
  get maxBytes(): number {
    let bytes = FIXED_BYTES + this.userId.maxBytes + this.apiKeyId.maxBytes;
    bytes += this.serviceId.maxBytes + this.direction.maxBytes + this.memo.maxBytes;
    bytes += this.attributes.maxBytes + this.corrects.maxBytes;
    for (const column of this.#declared) bytes += column.maxBytes;
    return bytes;
  }

  /** Whether the uuid is made from time, run and sequence. */
  get needsSequence(): boolean {
    return this.uuid.isNull && this.idempotencyKey === undefined;
  }

  /** Never throws. @param now milliseconds since 1970 @returns the first broken rule */
  parse(entry: unknown, now: number): EntryFault | undefined {
    if (this.#isParsing) return RECORDED_BY_GETTER;
    this.#isParsing = true;
    this.#field = 'entry';
    this.uuid.take(undefined);
    try {
      if (typeof entry !== 'object' || entry === null) {
        return { field: 'entry', rule: unlike('an object', entry) };
      }
      const rule = this.#takeFields(entry as Given, now);
      if (rule !== undefined) return { field: this.#field, rule };
      this.unknown = this.#unknownFields.in(entry as Given);
      return undefined;
    } catch {
      return { field: this.#field, rule: 'must be readable, but reading it threw' };
    } finally {
      this.#isParsing = false;
    }
  }

  /** Reads each property by a literal name; a shared look-up would cost a third more. */
  #takeFields(entry: Given, now: number): string | undefined {
    return (
      this.#takeUuid(entry) ??
      this.#takeUserId(entry) ??
      this.#at('apiKeyId').apiKeyId.take(entry['apiKeyId']) ??
      this.#at('serviceId').serviceId.take(entry['serviceId']) ??
      this.#at('direction').direction.take(entry['direction']) ??
      this.#at('memo').memo.take(entry['memo']) ??
      this.#at('attributes').attributes.take(entry['attributes']) ??
      this.#takeTokens(entry) ??
      this.#takeCreatedAt(entry, now) ??
      this.#takeDeclared(entry)
    );
  }

  /** Names the next field for its possible fault. */
  #at(field: string): this {
    this.#field = field;
    return this;
  }

  #takeUuid(entry: Given): string | undefined {
    const rule = this.#at('uuid').uuid.take(entry['uuid']);
    if (rule !== undefined || !this.#isUuidV7Only || this.uuid.isNull) return rule;
    return isUuidV7(this.uuid.view) ? undefined : 'must be a UUIDv7 in this ledger (uuids: v7)';
  }

  #takeUserId(entry: Given): string | undefined {
    this.#field = 'userId';
    const userId = entry['userId'];
    if (userId === undefined || userId === null) return `is required, got ${kindOf(userId)}`;
    return this.userId.take(userId);
  }

  #takeTokens(entry: Given): string | undefined {
    const rule =
      this.#at('corrects').corrects.take(entry['corrects']) ??
      this.#at('completionTokens').completionTokens.take(entry['completionTokens']);
    if (rule !== undefined) return rule;
    const isCorrection = !this.corrects.isNull;
    if (this.completionTokens.value < 0 && !isCorrection) return NEGATIVE_TOKENS;
    const second = this.#at('promptTokens').promptTokens.take(entry['promptTokens']);
    if (second !== undefined) return second;
    return this.promptTokens.value < 0 && !isCorrection ? NEGATIVE_TOKENS : undefined;
  }

  #takeCreatedAt(entry: Given, now: number): string | undefined {
    this.#field = 'createdAt';
    const given = entry['createdAt'];
    if (given === undefined || given === null) {
      // If the clock is set back a little, a later entry must not precede an earlier one.
      if (now > this.#latestMs || now < this.#latestMs - MAX_SET_BACK_MS) this.#latestMs = now;
      this.createdAtMs = this.#latestMs;
      return this.#takeKey(entry, false);
    }
    const ms = dateMs(given);
    if (ms === undefined) return unlike('a valid Date', given);
    if (ms < EARLIEST_CREATED_AT || ms > now + MAX_AHEAD_MS) {
      return 'must be a Date from 2000 to one day ahead, got one outside';
    }
    this.createdAtMs = ms;
    return this.#takeKey(entry, true);
  }

  #takeKey(entry: Given, hasCreatedAt: boolean): string | undefined {
    this.#field = 'idempotencyKey';
    this.idempotencyKey = undefined;
    this.isTimeOfTry = false;
    const key = entry['idempotencyKey'];
    if (key === undefined || key === null) {
      // A replay, or a caller who repeats the ledger's answer, gives such a uuid.
      this.isTimeOfTry = !this.uuid.isNull && isTimelessUuidV8(this.uuid.view);
      return undefined;
    }
    if (this.#isUuidV7Only) return NO_KEYS;
    const rule = this.#key.take(key);
    if (rule !== undefined) return rule;
    if (this.#keysNeedTime && !hasCreatedAt) {
      return 'needs createdAt, the same at each try: the table has partitions by time';
    }
    if (!this.uuid.isNull) return 'must not be given beside uuid, which it would make';
    this.idempotencyKey = key as string;
    this.isTimeOfTry = !hasCreatedAt;
    return undefined;
  }

  #takeDeclared(entry: Given): string | undefined {
    for (let i = 0; i < this.#names.length; i++) {
      const name = this.#names[i]!;
      const rule = this.#at(name).#declared[i]!.take(entry[name]);
      if (rule !== undefined) return rule;
    }
    return undefined;
  }
}

const NEGATIVE_TOKENS = 'must be 0 or more, except where the entry corrects another';
