import { SLAB_FOOTPRINT_BYTES, type Slab } from '../codec/slab.js';
import { Batch, type RowRange } from './batch.js';
import { rowsWithin } from './rows-within.js';
import { SettledMark } from './settled-mark.js';
import { SlabPool } from './slab-pool.js';
import { StoredSlab, type RowStore } from './stored-slab.js';

/** Bounds of a channel; whichever is met first counts as full. @internal */
export interface ChannelBounds {
  /** Entries that may wait, 1 to 10,000,000; infinite: bytes are the only bound. */
  readonly capacity: number;
  /**
   * Bytes that may be held, waiting or in flight: of encoded rows, and of the slabs that they lie
   * in. Two slabs are always allowed, one to write to and one to take from.
   */
  readonly maxBytes: number;
}

/** Hears of each row, and keeps the memory of those that it has not copied yet. @internal */
export interface RowListener {
  /**
   * Rows from this position on keep their memory, though they are settled. When it grows,
   * `Channel.release` is to be called.
   */
  readonly keepsFrom: number;
  /** Called for each row once it counts, so it must cost next to nothing; must not throw. */
  noteAppended(rowBytes: number): void;
}

const NOBODY: RowListener = { keepsFrom: Number.POSITIVE_INFINITY, noteAppended: () => undefined };

/** Slabs at the front that are in memory, or on their way there: workers take from several at once. */
const READ_AHEAD = 4;
/**
 * Slabs that a channel with a store is allowed, however small its bound is: in flight, next, on its way
 * there, and the writing end.
 */
const STORE_SLABS = 4;

/** Bytes of a row before any was seen. Source: the benchmark's small and large entries take 130 and 270. */
const USUAL_ROW_BYTES = 300;

/** A batch is never more than this: 16 MiB, by the contract. */
export const MAX_BATCH_BYTES = 16 * 1_048_576;

/**
 * The bounded FIFO between callers and workers: a list of slabs, no object per entry. Entries are
 * appended at the tail as encoded rows, taken from the head as batches, and hold their memory
 * until they are settled.
 *
 * @internal
 */
export class Channel {
  readonly capacity: number;
  /** Entries waiting. */
  depth = 0;
  /** Encoded bytes of the entries waiting. */
  waitingBytes = 0;
  /** Entries taken and not yet settled. */
  inFlight = 0;
  /** Encoded bytes of all entries held: waiting and in flight. */
  bytes = 0;
  /** Position that the next entry gets: the number of entries appended so far. */
  tail = 0;

  readonly #maxBytes: number;
  /** Mean bytes of a row, of those that were settled last. */
  #rowBytes = USUAL_ROW_BYTES;
  /** Its held slabs are those with rows, and the writing end. */
  readonly #pool: SlabPool;
  /** Slabs with waiting rows, the writing end last. */
  readonly #slabs: (Slab | StoredSlab)[] = [];
  /** First waiting row of the first slab. */
  #headRow = 0;
  #writing: Slab;
  /** Slabs with rows that are not settled or whose memory is kept, by position; the writing end last. */
  readonly #held: Slab[] = [];
  readonly #settled = new SettledMark();
  #listener = NOBODY;
  /** Slabs that are settled, and kept for the listener. */
  #kept = 0;
  /** Where slabs go that are not next; undefined: all are in memory. */
  #store: RowStore | undefined;
  #onLoaded = (): void => undefined;
  /** Slabs in memory from which on others go to the store, and those at the front that never do. */
  readonly #memorySlabs: number;
  readonly #ahead: number;
  /** Bytes of slabs that are allowed with a store. */
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

  /** From now on the listener hears of each row. */
  listen(listener: RowListener): void {
    this.#listener = listener;
  }

  /**
   * From now on slabs that are on disk and not next give their memory back, and are read back later.
   * @param onLoaded called when rows may be taken that could not before; must not throw
   */
  storeIn(store: RowStore, onLoaded: () => void): void {
    this.#store = store;
    this.#onLoaded = onLoaded;
  }

  /** Whether the first waiting row can be taken: there is one, and it is in memory. */
  get isReady(): boolean {
    return this.depth > 0 && !(this.#slabs[0] instanceof StoredSlab);
  }

  /** Whether one more entry would be within the bound of entries, which a store lifts. */
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

  /** Waiting entries that are in memory only: with a store that takes no more, these are bounded. */
  get #inMemory(): number {
    if (this.#store === undefined) return this.depth;
    return this.tail - Math.max(this.head, this.#store.storedUntil);
  }

  /** `capacity`; where bytes are the only bound, the rows of the present mean size that fit into them. */
  get usualCapacity(): number {
    if (this.capacity !== Number.POSITIVE_INFINITY) return this.capacity;
    const held = this.depth + this.inFlight;
    return Math.floor(this.#maxBytes / (held === 0 ? this.#rowBytes : this.bytes / held));
  }

  /** 0 to 1, by entries or by bytes, whichever is higher. */
  get saturation(): number {
    return this.#saturationWith(this.#store?.fill ?? 0);
  }

  /** As `saturation`, without what earlier runs left on disk: it is no reason to leave it there. */
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

  /** By memory that can't be given back, or by the room of the store. */
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
   * Memory of the slabs behind the writing end. A slab is held until its last row is settled, so a
   * row that stays behind counts with all of its slab.
   */
  get #slabBytes(): number {
    const { held } = this.#pool;
    return held <= 2 ? 0 : (held - 1) * SLAB_FOOTPRINT_BYTES;
  }

  /** Monotonic milliseconds when the first waiting entry came; undefined if none waits. */
  get oldestAt(): number | undefined {
    return this.depth === 0 ? undefined : this.#slabs[0]!.appendedAt(this.#headRow);
  }

  /** View of the row that was appended last. */
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
    // Nothing that fits into memory is dropped for the room that earlier runs take on disk.
    return fill < 1 || (ownFill < 1 && this.depth < this.capacity);
  }

  /**
   * The slab that takes the next row, which is to be written behind `end`.
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

  /** Counts the row that was written into the reserved slab. @param now monotonic milliseconds */
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
   * The rows from a position on whose memory is held, in order: those that are not settled, and some
   * that are. A position before the first of them is that one's.
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

  /** Index of the last held slab whose first row is not behind the position: binary search. */
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

  /** Gives back the memory of slabs that are on disk and not next, the last ones first. */
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

  /** Reads slabs back that are next. */
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
    // It was left to the disk at the end.
    if (index < 0) return slabs.forEach(giveBack);
    this.#slabs.splice(index, 1, ...pieces);
    // The writing end is behind all others.
    const behind = this.#held.findIndex(({ position }) => position > stored.position);
    this.#held.splice(behind, 0, ...slabs);
    this.#onLoaded();
  }

  /** The file that has the rows at the head, which can't be read back from it; undefined: they can. */
  get lostIn(): string | undefined {
    const slab = this.#slabs[0];
    return slab instanceof StoredSlab ? slab.lostIn : undefined;
  }

  /** Whether nothing has the rows at the head any more, which were on disk only. */
  get isGone(): boolean {
    const slab = this.#slabs[0];
    return slab instanceof StoredSlab && slab.isGone;
  }

  /** Takes the rows at the head that are on disk only, and stay there. To be called unless `isReady`. */
  takeStored(): Batch<Slab | StoredSlab> {
    const slab = this.#slabs.shift()!;
    const { position, count } = slab;
    if (slab instanceof StoredSlab && slab.lostIn !== undefined) this.#readAhead();
    return this.#takeOut(new Batch([{ slab, from: 0, to: count, position }]));
  }

  /** Gives back the memory that was kept for the listener and is not any more. */
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

  /** Counts a batch as settled; its memory may then be used again. */
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

  /** A slab has no unsettled row; its memory may be used again, unless the listener needs it. */
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

  /** The writing end starts again at the front once all its rows are settled. */
  #rewind(slab: Slab): void {
    this.#headRow = 0;
    if (this.#pool.isOfBlock(slab)) {
      // A quiet channel must not keep the block of its last burst.
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
