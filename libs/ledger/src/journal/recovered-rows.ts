import { Batch } from '../channel/batch.js';
import type { Counters } from '../stats/counters.js';
import type { RecoveredBlock } from './recovered-block.js';

/** Number of blocks that are read ahead of the workers. */
const READ_AHEAD = 2;
/**
 * First position of recovered rows. It is above all positions of a channel at a million entries a
 * second for 71 years, and far below the largest safe integer.
 */
const FIRST_POSITION = 2 ** 51;

/**
 * Rows between files and workers. Only a few are read ahead, so that a large file takes little
 * memory.
 *
 * @internal
 */
export class RecoveredRows {
  /** Rows with a worker. */
  inFlight = 0;
  readonly #counters: Pick<Counters, 'recovered'>;
  readonly #signal: AbortSignal;
  readonly #ready: RecoveredBlock[] = [];
  #position = FIRST_POSITION;
  #onReady: () => void = () => {};
  #onRoom: () => void = () => {};

  /** @param signal aborted: no more rows are given */
  constructor(counters: Pick<Counters, 'recovered'>, signal: AbortSignal) {
    this.#counters = counters;
    this.#signal = signal;
  }

  whenReady(callback: () => void): void {
    this.#onReady = callback;
  }

  /** Resolves once there is room for the block, or the signal is aborted. */
  async give(block: RecoveredBlock): Promise<void> {
    while (this.#ready.length >= READ_AHEAD && !this.#signal.aborted) {
      await new Promise<void>((resolve) => (this.#onRoom = resolve));
    }
    if (this.#signal.aborted) return;
    this.#ready.push(block);
    this.#onReady();
  }

  /** Forgets rows without a worker, after the signal was aborted. */
  end(): void {
    this.#ready.length = 0;
    this.#onRoom();
  }

  take(): { batch: Batch<RecoveredBlock>; mayExist: boolean } | undefined {
    const slab = this.#ready.shift();
    if (slab === undefined) return undefined;
    this.#onRoom();
    const { rows } = slab;
    const batch = new Batch([{ slab, from: 0, to: rows, position: this.#position }]);
    this.#position += rows;
    this.inFlight += rows;
    this.#counters.recovered += rows;
    return { batch, mayExist: slab.mayExist };
  }

  owns(batch: Batch): batch is Batch<RecoveredBlock> {
    return batch.position >= FIRST_POSITION;
  }

  settle(batch: Batch): void {
    if (!this.owns(batch)) return;
    this.inFlight -= batch.count;
    for (const { slab, from, to } of batch.ranges) slab.file.settle(to - from);
  }

  /** Leaves the rows in their file. @returns the file */
  leave(batch: Batch): string {
    if (!this.owns(batch)) return '';
    for (const { slab, from, to } of batch.ranges) slab.file.left += to - from;
    return this.fileOf(batch);
  }

  fileOf(batch: Batch): string {
    return this.owns(batch) ? batch.ranges[0]!.slab.file.path : '';
  }
}
