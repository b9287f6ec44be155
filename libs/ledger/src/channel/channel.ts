import { SLAB_FOOTPRINT_BYTES, type Slab } from '../codec/slab.js';
import { Batch, type RowRange } from './batch.js';
import { rowsWithin } from './rows-within.js';
import { SettledMark } from './settled-mark.js';
import { SlabPool } from './slab-pool.js';
import { StoredSlab, type RowStore } from './stored-slab.js';

/** Bounds of a channel, which is full when it reaches either. @internal */
export interface ChannelBounds {
  /** Maximum of waiting entries, 1 to 10,000,000. If infinite, only bytes bound the channel. */
  readonly capacity: number;
  /**
   * Maximum of held bytes, waiting or in flight: those of encoded rows, and those of their slabs.
   * Two slabs are always allowed, one to write to and one to take from.
   */
  readonly maxBytes: number;
}

/**
 * Called for each row. The listener also keeps the memory of rows that it has not copied yet.
 * @internal
 */
export interface RowListener {
  /**
   * Rows from this position on keep their memory, even when settled. The caller must call
   * `Channel.release` when it grows.
   */
  readonly keepsFrom: number;
  /** Called for each counted row, so it must be almost free. Must not throw. */
  noteAppended(rowBytes: number): void;
}

const NOBODY: RowListener = { keepsFrom: Number.POSITIVE_INFINITY, noteAppended: () => undefined };

/** Slabs at the front that are in memory or being read back: workers take from several at once. */
const READ_AHEAD = 4;
/**
 * Minimum of allowed slabs for a channel with a store, even with a smaller bound: one in flight,
 * the next one, one being read, and the writing end.
 */
const STORE_SLABS = 4;

/**
 * Assumed bytes of a row before the first. Source: the benchmark's small and large entries take 130
 * and 270.
 */
const USUAL_ROW_BYTES = 300;

/** Maximum size of a batch: 16 MiB, by the contract. */
export const MAX_BATCH_BYTES = 16 * 1_048_576;

/**
 * The bounded FIFO between callers and workers: a list of slabs, without an object per entry.
 * Entries are appended at the tail as encoded rows and taken from the head as batches. They hold
 * their memory until they are settled.
 *
 * @internal
 */
export class Channel {
  readonly capacity: number;
  /** Waiting entries. */
  depth = 0;
  /** Encoded bytes of the waiting entries. */
  waitingBytes = 0;
  /** Entries taken and not yet settled. */
  inFlight = 0;
  /** Encoded bytes of all held entries: waiting and in flight. */
  bytes = 0;
  /** Position of the next entry: the number of entries appended so far. */
  tail = 0;

  readonly #maxBytes: number;
  /** Mean row size in bytes of the last settled batch. */
  #rowBytes = USUAL_ROW_BYTES;
  /** Its held slabs are the slabs with rows and the writing end. */
  readonly #pool: SlabPool;
  /** Slabs with waiting rows, the writing end last. */
  readonly #slabs: (Slab | StoredSlab)[] = [];
  /** First waiting row of the first slab. */
  #headRow = 0;
  #writing: Slab;
  /** Slabs with unsettled rows or kept memory, by position; the writing end is last. */
  readonly #held: Slab[] = [];
  readonly #settled = new SettledMark();
  #listener = NOBODY;
  /** Settled slabs that are kept for the listener. */
  #kept = 0;
  /** Takes slabs that are not next; undefined: all slabs are in memory. */
  #store: RowStore | undefined;
  #onLoaded = (): void => undefined;
  /** Slabs in memory above which others move to the store, and slabs at the front that never do. */
  readonly #memorySlabs: number;
  readonly #ahead: number;
  /** Maximum bytes of slabs with a store. */
  readonly #storeBytes: number;

  constructor(bounds: ChannelBounds) {
    this.capacity = bounds.capacity;
    this.#maxBytes = bounds.maxBytes;
    this.#pool = new SlabPool(bounds.maxBytes);
    this.#storeBytes = Math.max(bounds.maxBytes, STORE_SLABS * SLAB_FOOTPRINT_BYTES);
    this.#memorySlabs = Math.max(2, Math.floor(bounds.maxBytes / SLAB_FOOTPRINT_BYTES / 2));
    this.#ahead = Math.min(READ_AHEAD, Math.floor(this.#memorySlabs / 2));
    this.#writing = this.#pool.take();
    this.#slabs.push(this.#writing);
    this.#held.push(this.#writing);
  }

  /** From now on the listener is called for each row. */
  listen(listener: RowListener): void {
    this.#listener = listener;
  }

  /**
   * From now on, slabs that are on disk and not next release their memory and are read back later.
   * @param onLoaded called when rows that were on disk can be taken; must not throw
   */
  storeIn(store: RowStore, onLoaded: () => void): void {
    this.#store = store;
    this.#onLoaded = onLoaded;
  }

  /** Whether the first waiting row can be taken: it exists and is in memory. */
  get isReady(): boolean {
    return this.depth > 0 && !(this.#slabs[0] instanceof StoredSlab);
  }

  /** Whether one more entry would be within the bound of entries. A store lifts that bound. */
  get hasEntryRoom(): boolean {
    return this.#store?.isTaking === true || this.#inMemory < this.capacity;
  }

  /** Every row before this position is settled. */
  get settledUntil(): number {
    return this.#settled.position;
  }

  /** Position of the first waiting entry; `tail` if none waits. */
  get head(): number {
    return this.tail - this.depth;
  }

  /** Waiting entries in memory only. They are bounded when the store takes no more rows. */
  get #inMemory(): number {
    if (this.#store === undefined) return this.depth;
    return this.tail - Math.max(this.head, this.#store.storedUntil);
  }

  /**
   * `capacity`. If only bytes bound the channel: the number of rows of the present mean size that
   * fit.
   */
  get usualCapacity(): number {
    if (this.capacity !== Number.POSITIVE_INFINITY) return this.capacity;
    const held = this.depth + this.inFlight;
    return Math.floor(this.#maxBytes / (held === 0 ? this.#rowBytes : this.bytes / held));
  }

  /** 0 to 1, by entries or by bytes, whichever is higher. */
  get saturation(): number {
    return this.#saturationWith(this.#store?.fill ?? 0);
  }

  /**
   * Like `saturation`, without rows of earlier runs on disk: they must not delay their own
   * recovery.
   */
  get ownSaturation(): number {
    return this.#saturationWith(this.#store?.ownFill ?? 0);
  }

  #saturationWith(fill: number): number {
    const store = this.#store;
    if (store?.isTaking === true) return this.#storedSaturation(store, fill);
    const bytes =
      store === undefined
        ? Math.max(this.bytes, this.#slabBytes) / this.#maxBytes
        : this.#slabBytes / this.#storeBytes;
    return Math.min(1, Math.max(this.#inMemory / this.capacity, bytes));
  }

  /** By memory that can't be released, or by the room of the store. */
  #storedSaturation({ storedUntil }: RowStore, fill: number): number {
    let spare = 0;
    for (let index = this.#slabs.length - 2; index >= this.#ahead; index--) {
      const slab = this.#slabs[index]!;
      if (slab instanceof StoredSlab) break;
      if (slab.position + slab.count <= storedUntil) spare++;
    }
    const bytes = this.#slabBytes - spare * SLAB_FOOTPRINT_BYTES;
    return Math.min(1, Math.max(0, bytes / this.#storeBytes, fill));
  }

  /**
   * Memory of the slabs other than the writing end. A slab is held until its last row is settled,
   * so one unsettled row counts with its whole slab.
   */
  get #slabBytes(): number {
    const { held } = this.#pool;
    return held <= 2 ? 0 : (held - 1) * SLAB_FOOTPRINT_BYTES;
  }

  /** Monotonic milliseconds when the first waiting entry was appended; undefined if none waits. */
  get oldestAt(): number | undefined {
    return this.depth === 0 ? undefined : this.#slabs[0]!.appendedAt(this.#headRow);
  }

  /** View of the last appended row. */
  get lastRow(): Buffer {
    const slab = this.#writing;
    return slab.bytes.subarray(slab.startOf(slab.count - 1), slab.end);
  }

  /** Whether a row of this size would be within both bounds. */
  hasRoom(rowBytes: number): boolean {
    const store = this.#store;
    if (store !== undefined) {
      return this.#hasStoreRoom(store) && this.#slabBytes < this.#storeBytes;
    }
    return (
      this.depth < this.capacity &&
      this.bytes + rowBytes <= this.#maxBytes &&
      this.#slabBytes < this.#maxBytes
    );
  }

  #hasStoreRoom({ isTaking, fill, ownFill }: RowStore): boolean {
    if (!isTaking) return this.#inMemory < this.capacity;
    // Rows of earlier runs on disk never cause the drop of an entry that fits into memory.
    return fill < 1 || (ownFill < 1 && this.depth < this.capacity);
  }

  /**
   * The slab for the next row, which is written from `end` on.
   * @param maxRowBytes upper bound of the row, at most 1 MiB
   */
  reserve(maxRowBytes: number): Slab {
    if (this.#writing.hasRoom(maxRowBytes)) return this.#writing;
    const full = this.#writing;
    this.#writing = this.#pool.take();
    this.#writing.position = this.tail;
    this.#slabs.push(this.#writing);
    this.#held.push(this.#writing);
    if (this.#slabs[0] === full && this.#headRow === full.count) this.#dropHead();
    this.#unload();
    return this.#writing;
  }

  /** Counts the row in the reserved slab. @param now monotonic milliseconds */
  append(end: number, now: number): void {
    const rowBytes = end - this.#writing.end;
    this.#writing.append(end, now);
    this.depth++;
    this.tail++;
    this.bytes += rowBytes;
    this.waitingBytes += rowBytes;
    this.#listener.noteAppended(rowBytes);
  }

  /**
   * Rows from a position on whose memory is held, in order: all unsettled ones, and some settled
   * ones. An earlier position means the first held row.
   */
  rowsFrom(position: number): RowRange<Slab>[] {
    const ranges: RowRange<Slab>[] = [];
    for (let index = this.#heldAt(position); index < this.#held.length; index++) {
      const slab = this.#held[index]!;
      const from = Math.max(0, position - slab.position);
      if (from >= slab.count) continue;
      ranges.push({ slab, from, to: slab.count, position: slab.position + from });
    }
    return ranges;
  }

  /** Index of the last held slab whose first row is at or before the position: binary search. */
  #heldAt(position: number): number {
    let low = 0;
    let high = this.#held.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#held[middle]!.position <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Releases the memory of slabs that are on disk and not next, the last ones first. */
  #unload(): void {
    const store = this.#store;
    if (store?.isTaking !== true) return;
    for (let index = this.#slabs.length - 2; index >= this.#ahead; index--) {
      const slab = this.#slabs[index]!;
      if (slab instanceof StoredSlab || this.#held.length <= this.#memorySlabs) return;
      if (slab.position + slab.count > store.storedUntil) continue;
      this.#slabs[index] = StoredSlab.of(slab);
      this.#held.splice(this.#heldAt(slab.position), 1);
      this.#pool.giveBack(slab);
    }
  }

  /** Reads the next slabs back. */
  #readAhead(): void {
    if (this.#store === undefined) return;
    for (const slab of this.#slabs.slice(0, this.#ahead)) {
      const isNext = slab instanceof StoredSlab && slab.lostIn === undefined;
      if (isNext && !slab.isLoading) void this.#load(slab, this.#store);
    }
  }

  async #load(stored: StoredSlab, store: RowStore): Promise<void> {
    stored.isLoading = true;
    const giveBack = (slab: Slab): void => this.#pool.giveBack(slab);
    const pieces = await store.load(stored, () => this.#pool.take(), giveBack);
    const slabs = pieces.filter((piece): piece is Slab => !(piece instanceof StoredSlab));
    const index = this.#slabs.indexOf(stored);
    // The slab was left on disk at the end.
    if (index < 0) return slabs.forEach(giveBack);
    this.#slabs.splice(index, 1, ...pieces);
    // The writing end is always last.
    const behind = this.#held.findIndex(({ position }) => position > stored.position);
    this.#held.splice(behind, 0, ...slabs);
    this.#onLoaded();
  }

  /** The file whose rows at the head can't be read back; undefined: they can. */
  get lostIn(): string | undefined {
    const slab = this.#slabs[0];
    return slab instanceof StoredSlab ? slab.lostIn : undefined;
  }

  /** Whether the rows at the head are gone: they were on disk only, and the file is removed. */
  get isGone(): boolean {
    const slab = this.#slabs[0];
    return slab instanceof StoredSlab && slab.isGone;
  }

  /**
   * Takes the rows at the head that are on disk only, and leaves them there. Call it only if not
   * `isReady`.
   */
  takeStored(): Batch<Slab | StoredSlab> {
    const slab = this.#slabs.shift()!;
    const { position, count } = slab;
    if (slab instanceof StoredSlab && slab.lostIn !== undefined) this.#readAhead();
    return this.#takeOut(new Batch([{ slab, from: 0, to: count, position }]));
  }

  /** Releases memory that the listener no longer needs. */
  release(): void {
    this.#unload();
    if (this.#kept === 0) return;
    this.#kept = 0;
    for (const slab of [...this.#held]) if (slab.unsettled === 0) this.#giveBack(slab);
  }

  /**
   * Takes entries from the head, oldest first.
   * @param maxEntries at least 1
   * @returns undefined if none waits
   */
  take(maxEntries: number): Batch<Slab> | undefined {
    if (this.depth === 0) return undefined;
    const ranges: RowRange<Slab>[] = [];
    let position = this.head;
    let entries = Math.min(maxEntries, this.depth);
    let bytes = MAX_BATCH_BYTES;
    while (entries > 0) {
      const slab = this.#slabs[0]!;
      if (slab instanceof StoredSlab) break;
      const from = this.#headRow;
      const to = rowsWithin(slab, from, { entries, bytes, atLeastOne: ranges.length === 0 });
      if (to === from && slab.count > from) break;
      if (to > from) {
        ranges.push({ slab, from, to, position });
        entries -= to - from;
        position += to - from;
        bytes -= slab.endOf(to - 1) - slab.startOf(from);
        this.#headRow = to;
      }
      if (this.#headRow < slab.count || slab === this.#writing) break;
      this.#dropHead();
    }
    return ranges.length === 0 ? undefined : this.#takeOut(new Batch(ranges));
  }

  #takeOut<Taken extends Batch>(batch: Taken): Taken {
    this.depth -= batch.count;
    this.waitingBytes -= batch.bytes;
    this.inFlight += batch.count;
    return batch;
  }

  #dropHead(): void {
    const slab = this.#slabs.shift() as Slab;
    this.#headRow = 0;
    if (slab.unsettled === 0) this.#giveBack(slab);
    this.#readAhead();
  }

  /** Counts a batch as settled; its memory may then be reused. */
  settle(batch: Batch<Slab | StoredSlab>): void {
    this.inFlight -= batch.count;
    this.bytes -= batch.bytes;
    if (batch.bytes > 0) this.#rowBytes = batch.bytes / batch.count;
    for (const { slab, from, to, position } of batch.ranges) {
      slab.unsettled -= to - from;
      this.#settled.settle(position, to - from);
      if (slab.unsettled === 0 && !(slab instanceof StoredSlab)) this.#giveBack(slab);
    }
  }

  /** Releases a slab without unsettled rows, unless the listener needs it. */
  #giveBack(slab: Slab): void {
    if (slab.count === 0 && slab === this.#writing) return;
    if (slab.position + slab.count > this.#listener.keepsFrom) {
      this.#kept++;
    } else if (slab === this.#writing) {
      this.#rewind(slab);
    } else {
      this.#held.splice(this.#heldAt(slab.position), 1);
      this.#pool.giveBack(slab);
    }
  }

  /** Restarts the writing end at its front once all its rows are settled. */
  #rewind(slab: Slab): void {
    this.#headRow = 0;
    if (this.#pool.isOfBlock(slab)) {
      // An idle channel must not keep the block of its last burst.
      this.#pool.giveBack(slab);
      this.#writing = this.#pool.take();
      this.#slabs[0] = this.#writing;
      this.#held[this.#held.length - 1] = this.#writing;
    } else {
      slab.clear();
    }
    this.#writing.position = this.tail;
  }
}
