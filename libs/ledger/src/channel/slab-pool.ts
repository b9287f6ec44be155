import { Slab, SLAB_FOOTPRINT_BYTES } from '../codec/slab.js';

/**
 * Bytes of a block. Above 32 MiB the C library maps separate memory for an allocation and returns
 * it to the system when it is freed. Smaller allocations stay with the C library once such a size
 * was freed. Source: M_MMAP_THRESHOLD in https://man7.org/linux/man-pages/man3/mallopt.3.html
 */
const BLOCK_BYTES = 36 * 1_048_576;
const SLABS_OF_A_BLOCK = Math.floor(BLOCK_BYTES / SLAB_FOOTPRINT_BYTES);
/** Slabs with separate memory, before the first block: a channel's usual load. */
const SINGLE_SLABS = 8;
/**
 * Empty single slabs that are kept for the next entries. Under steady load, two workers and the
 * writing end hold four.
 */
const SPARE_SLABS = 4;

/** Memory of many slabs. Pages are reserved but not resident until a slab writes to them. */
interface Block {
  readonly memory: ArrayBuffer;
  /** Slabs made from this block so far, starting at its front. */
  made: number;
  /** Slabs of this block that hold rows. */
  held: number;
  readonly free: Slab[];
}

/**
 * Lends slabs. A few have separate memory and are reused. The slabs of a burst are parts of blocks,
 * which return to the system as a whole after the burst. While one slab of a block holds rows, the
 * other slabs of the block are lent before new memory is taken.
 *
 * @internal
 */
export class SlabPool {
  /** Slabs lent now. */
  held = 0;
  /** Existing single slabs, lent or spare. */
  #singles = 0;
  readonly #spare: Slab[] = [];
  readonly #blocks: Block[] = [];
  readonly #blockOf = new WeakMap<Slab, Block>();
  readonly #maxBlocks: number;

  /** @param maxBytes of total memory without spare slabs, as long as no more slabs are taken */
  constructor(maxBytes: number) {
    const forBlocks = maxBytes - SINGLE_SLABS * SLAB_FOOTPRINT_BYTES;
    this.#maxBlocks = Math.max(0, Math.floor(forBlocks / BLOCK_BYTES));
  }

  /** Lends an empty slab. */
  take(): Slab {
    this.held++;
    const spare = this.#spare.pop();
    if (spare) return spare;
    const block = this.#singles < SINGLE_SLABS ? undefined : this.#blockWithSlab();
    if (block) {
      block.held++;
      return block.free.pop() ?? this.#carve(block);
    }
    this.#singles++;
    return new Slab();
  }

  /** Takes back a slab whose rows are all settled. */
  giveBack(slab: Slab): void {
    slab.clear();
    this.held--;
    const block = this.#blockOf.get(slab);
    if (block) {
      block.held--;
      block.free.push(slab);
    } else if (this.#spare.length < SPARE_SLABS) {
      this.#spare.push(slab);
    } else {
      this.#singles--;
    }
    // Not at the first empty block: under a steady load just above the single slabs, the next entry
    // would need that block again.
    if (this.held <= SPARE_SLABS) this.#dropEmpty();
  }

  /** Whether a slab belongs to a block, and so keeps the block from the system. */
  isOfBlock(slab: Slab): boolean {
    return this.#blockOf.has(slab);
  }

  #blockWithSlab(): Block | undefined {
    const block = this.#blocks.find(hasSlab);
    if (block || this.#blocks.length >= this.#maxBlocks) return block;
    return this.#open();
  }

  #open(): Block {
    const memory = Buffer.allocUnsafeSlow(BLOCK_BYTES).buffer;
    const block: Block = { memory, made: 0, held: 0, free: [] };
    this.#blocks.push(block);
    return block;
  }

  #carve(block: Block): Slab {
    const slab = new Slab(block.memory, block.made * SLAB_FOOTPRINT_BYTES);
    block.made++;
    this.#blockOf.set(slab, block);
    return slab;
  }

  #dropEmpty(): void {
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      if (this.#blocks[i]!.held === 0) this.#blocks.splice(i, 1);
    }
  }
}

function hasSlab({ free, made }: Block): boolean {
  return free.length > 0 || made < SLABS_OF_A_BLOCK;
}
