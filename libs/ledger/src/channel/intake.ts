import { RECORDED_BY_GETTER, type EntryFault } from '../codec/entry-parser.js';
import { RowCodec } from '../codec/row-codec.js';
import { createRowTarget, rowTargetOf } from '../codec/row-target.js';
import { newEntryUuid } from '../codec/uuid.js';
import type { Counters } from '../stats/counters.js';
import type { Clock } from '../clock/clock.js';
import type { Channel } from './channel.js';
import type { Handoff } from './handoff.js';
import { elementOf, lengthOf } from './entry-list.js';
import { KnownUuids } from './known-uuids.js';
import type { RefusedWait, RoomLine, WaitLimits } from './room-line.js';

/**
 * Result of `record()`. `queued`: the entry will be written; after the last shutdown hook it is in
 * a file in `spillDir` instead. `sealed`: the entry came after that hook, and no file takes it.
 *
 * @publicApi
 */
export type RecordOutcome = 'queued' | 'dropped' | 'sealed' | 'invalid';

const LEDGER_UUID: EntryFault = {
  field: 'uuid',
  rule: 'must not be one that the ledger makes for other entries: give idempotencyKey, or newEntryUuid()',
};

/** Parts of the intake. */
export interface IntakeParts {
  readonly codec: RowCodec;
  /** Random id of this run. */
  readonly run: number;
  /** Receives the entries. */
  readonly handoff: Handoff;
  readonly counters: Counters;
  readonly clock: Clock;
  /** See `KnownUuids`. */
  readonly refusesKeyUuids: boolean;
  /** Called after each entry that found no room; must not throw. */
  readonly onDropped: () => void;
  /**
   * Called after each entry that came after the seal. Must not throw.
   * @param file contains its row
   */
  readonly onLate: (file: string) => void;
  /** Called after each late entry that no file took; must not throw. */
  readonly onRefused: () => void;
  /** Called with unknown property names. Returns the broken rule, if any. Must not throw. */
  readonly onUnknown: (names: readonly string[]) => EntryFault | undefined;
  /** Called for each invalid entry; must not throw. */
  readonly onInvalid: (fault: EntryFault, entry: unknown) => void;
}

/**
 * Result for an entry whose caller may wait for room. `uuid` is the entry's own, or one for a retry
 * if it was not queued.
 * @internal
 */
export type Place =
  | { readonly outcome: 'queued'; readonly uuid: string; readonly position: number }
  | { readonly outcome: 'spilled'; readonly uuid: string; readonly file: string }
  | { readonly outcome: RefusedWait | 'dropped'; readonly uuid: string }
  | { readonly outcome: 'invalid'; readonly uuid: string; readonly fault: EntryFault };

/**
 * The path of an entry into the channel: check, encode, count. Everything is synchronous and never
 * throws. Only `place` may wait, for room.
 *
 * Uuids without a place are outside the run's sequence. A gap in the sequence therefore always
 * means a missing row.
 *
 * @internal
 */
export class Intake {
  /** Random id of this run, in every uuid that the intake makes. */
  readonly run: number;
  readonly knownUuids: KnownUuids;
  /** The rule that the latest invalid entry broke. */
  lastFault: EntryFault | undefined;
  readonly #parts: IntakeParts;
  readonly #channel: Channel;
  readonly #line: RoomLine;
  /** Sequence of the next uuid made here; a run starts at 0. */
  readonly #next: { readonly run: number; sequence: number };
  /**
   * Memory to encode rows that wait outside the channel, because their bound is several times their
   * size.
   */
  #scratch = createRowTarget(0);
  /** Entries that were kept after the seal. */
  #late = 0;
  /** Milliseconds since 1970 at the last read of the monotonic clock. */
  #lookedAt = Number.NaN;
  #monotonicThen = 0;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.run = parts.run;
    this.#next = { run: parts.run, sequence: 0 };
    this.knownUuids = new KnownUuids(parts.run, parts.refusesKeyUuids);
    this.#channel = parts.handoff.channel;
    this.#line = parts.handoff.room;
  }

  /** Offers an entry without waiting. Never throws. */
  offer(entry: unknown): RecordOutcome {
    const { counters, handoff, clock } = this.#parts;
    const now = clock.now();
    const fault = this.#parse(entry, now);
    // Not earlier: a getter of the entry may read the counters, and the conservation law must hold
    // there.
    counters.offered++;
    if (fault !== undefined) return this.#refuse(fault, entry);
    if (handoff.isSealed) return this.#offerLate();
    // Waiting callers have precedence.
    if (this.#line.waiting > 0 || !this.#writeWithinCapacity(now)) return this.#drop();
    handoff.noteQueued();
    return 'queued';
  }

  #parse(entry: unknown, now: number): EntryFault | undefined {
    const { parser } = this.#parts.codec;
    const fault = parser.parse(entry, now);
    if (fault !== undefined) return fault;
    if (!parser.uuid.isNull && this.knownUuids.refuses(parser.uuid)) return LEDGER_UUID;
    return parser.unknown.length === 0 ? undefined : this.#parts.onUnknown(parser.unknown);
  }

  #refuse(fault: EntryFault, entry: unknown): 'invalid' {
    this.#parts.counters.invalid++;
    this.#parts.onInvalid(fault, entry);
    this.lastFault = fault;
    return 'invalid';
  }

  /** Offers the parsed entry, which came after the seal. */
  #offerLate(): 'queued' | 'sealed' {
    const { needsSequence } = this.#parts.codec.parser;
    if (this.#keepLate(this.#encodeAlone(), needsSequence) === undefined) return 'sealed';
    this.#countCuts();
    return 'queued';
  }

  /**
   * Counts a row that came after the seal as queued and spilled, or as sealed if no file takes it.
   * @returns the file, if any
   */
  #keepLate(row: Buffer, needsSequence: boolean): string | undefined {
    const { codec, counters, handoff, onLate } = this.#parts;
    if (needsSequence) codec.resequence(rowTargetOf(row), 0, this.#next);
    // The channel takes no more rows, so no other row has these positions.
    const position = this.#channel.tail + this.#late;
    const file = handoff.late?.keep({ slices: [row], count: 1, position });
    if (file === undefined) {
      this.#refuseSealed();
      return undefined;
    }
    this.#late++;
    if (needsSequence) this.#next.sequence++;
    counters.queued++;
    counters.spilled++;
    onLate(file);
    return file;
  }

  #refuseSealed(): 'sealed' {
    this.#parts.counters.sealed++;
    this.#parts.onRefused();
    return 'sealed';
  }

  #drop(): 'dropped' {
    this.#parts.counters.dropped++;
    this.#parts.onDropped();
    return 'dropped';
  }

  /** Encodes the parsed entry into the channel. @returns false if there is no room for its bytes */
  #write(now: number): boolean {
    const { codec } = this.#parts;
    const channel = this.#channel;
    const slab = channel.reserve(codec.maxRowBytes);
    const start = slab.end;
    const end = codec.encode(slab, start, this.#next);
    if (!channel.hasRoom(end - start)) return false;
    if (codec.parser.needsSequence) this.#next.sequence++;
    channel.append(end, this.#monotonic(now));
    this.#count();
    return true;
  }

  #count(): void {
    this.#parts.counters.queued++;
    this.#countCuts();
  }

  #countCuts(): void {
    const { counters, codec } = this.#parts;
    if (codec.parser.memo.wasCut) counters.memoCut++;
    if (codec.parser.attributes.wasDropped) counters.attributesDropped++;
  }

  /** Offers entries in order, without waiting. Never throws. */
  offerMany(entries: readonly unknown[]): Record<RecordOutcome, number> {
    const outcomes = { queued: 0, dropped: 0, sealed: 0, invalid: 0 };
    const count = lengthOf(entries);
    if (count === undefined) outcomes[this.offer(entries)]++;
    for (let i = 0; i < (count ?? 0); i++) outcomes[this.offer(elementOf(entries, i))]++;
    return outcomes;
  }

  /**
   * Offers an entry whose caller may wait for room.
   * @param settle called exactly once: immediately if there is room, or never will be
   */
  place(entry: unknown, limits: WaitLimits, settle: (place: Place) => void): void {
    const { counters, handoff, codec, clock } = this.#parts;
    const line = this.#line;
    const now = clock.now();
    const fault = this.#parse(entry, now);
    counters.offered++;
    // An entry that was not read has no uuid here: the present uuid is that of the outer entry.
    const given = fault === RECORDED_BY_GETTER ? undefined : codec.parser.uuid.text;
    if (fault !== undefined) {
      this.#refuse(fault, entry);
      settle({ outcome: 'invalid', uuid: given ?? newEntryUuid(), fault });
    } else if (handoff.isSealed) {
      this.#placeLate(settle);
    } else if (!limits.signal?.aborted && line.waiting === 0 && this.#writeWithinCapacity(now)) {
      settle(this.#placed());
      handoff.noteQueued();
    } else {
      this.#wait(limits, settle);
    }
  }

  #placeLate(settle: (place: Place) => void): void {
    const { needsSequence } = this.#parts.codec.parser;
    const row = this.#encodeAlone();
    const file = this.#keepLate(row, needsSequence);
    if (file !== undefined) this.#countCuts();
    settle(this.#latePlace(row, needsSequence, file));
  }

  #latePlace(row: Buffer, needsSequence: boolean, file: string | undefined): Place {
    if (file !== undefined) return { outcome: 'spilled', uuid: RowCodec.uuidOf(row), file };
    return { outcome: 'sealed', uuid: needsSequence ? newEntryUuid() : RowCodec.uuidOf(row) };
  }

  #writeWithinCapacity(now: number): boolean {
    const channel = this.#channel;
    return channel.hasEntryRoom && this.#write(now);
  }

  /**
   * The monotonic clock, read once per millisecond of the other clock. Ages are whole milliseconds,
   * and a second clock read would take a tenth of the time of `record()`. The value never goes
   * back. If the other clock stands still, an entry looks older and is written earlier.
   */
  #monotonic(now: number): number {
    if (now !== this.#lookedAt) {
      this.#lookedAt = now;
      this.#monotonicThen = this.#parts.clock.monotonic();
    }
    return this.#monotonicThen;
  }

  #placed(): Place {
    const channel = this.#channel;
    const uuid = RowCodec.uuidOf(channel.lastRow);
    return { outcome: 'queued', uuid, position: channel.tail - 1 };
  }

  #wait(limits: WaitLimits, settle: (place: Place) => void): void {
    const { codec, counters, handoff } = this.#parts;
    const line = this.#line;
    const { needsSequence, memo, attributes } = codec.parser;
    const { wasCut } = memo;
    const { wasDropped } = attributes;
    const row = this.#encodeAlone();
    const uuid = (): string => (needsSequence ? newEntryUuid() : RowCodec.uuidOf(row));
    if (limits.signal?.aborted) {
      // The caller aborted before room mattered.
      counters.dropped++;
      return settle({ outcome: 'aborted', uuid: uuid() });
    }
    if (!line.hasPlace(row.length) || limits.timeoutMs <= 0) {
      this.#drop();
      return settle({ outcome: 'dropped', uuid: uuid() });
    }
    const countCuts = (): void => {
      if (wasCut) counters.memoCut++;
      if (wasDropped) counters.attributesDropped++;
    };
    const admit = (): void => {
      this.#admit(row, needsSequence);
      countCuts();
      settle(this.#placed());
      handoff.noteQueued();
    };
    const refuse = (why: RefusedWait): void => {
      if (why === 'sealed') {
        const file = this.#keepLate(row, needsSequence);
        if (file !== undefined) countCuts();
        return settle(this.#latePlace(row, needsSequence, file));
      }
      this.#drop();
      settle({ outcome: why, uuid: uuid() });
    };
    line.join({ row, admit, refuse }, limits);
  }

  /** The parsed entry as a row in separate memory of its exact size. */
  #encodeAlone(): Buffer {
    const { codec } = this.#parts;
    if (this.#scratch.bytes.length < codec.maxRowBytes) {
      this.#scratch = createRowTarget(codec.maxRowBytes);
    }
    const end = codec.encode(this.#scratch, 0, this.#next);
    const row = Buffer.allocUnsafeSlow(end);
    this.#scratch.bytes.copy(row, 0, 0, end);
    return row;
  }

  #admit(row: Buffer, needsSequence: boolean): void {
    const { clock, codec, counters } = this.#parts;
    const channel = this.#channel;
    const slab = channel.reserve(row.length);
    const start = slab.end;
    row.copy(slab.bytes, start);
    if (needsSequence) {
      codec.resequence(slab, start, this.#next);
      this.#next.sequence++;
    }
    channel.append(start + row.length, this.#monotonic(clock.now()));
    counters.queued++;
  }
}
