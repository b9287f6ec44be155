import type { RowBlock } from '../channel/batch.js';
import type { StreamMessage } from '../ports/ledger-stream.interface.js';

/** The rows of one message. The message is done when the last of them is settled. @internal */
export class MessageBlock implements RowBlock {
  /** Rows that have no final fate yet. */
  unsettled: number;
  /** A row of it is to be delivered again, and so the message is. */
  isLeftBehind = false;

  /**
   * @param bytes the payload, or the rows made anew of it
   * @param ends where each row ends in `bytes`
   * @param takenAt monotonic milliseconds when the message came: each row counts as that old
   */
  constructor(
    readonly message: StreamMessage,
    readonly bytes: Buffer,
    private readonly ends: ArrayLike<number>,
    private readonly takenAt: number,
  ) {
    this.unsettled = ends.length;
  }

  get rows(): number {
    return this.ends.length;
  }

  startOf(row: number): number {
    return row === 0 ? 0 : this.ends[row - 1]!;
  }

  endOf(row: number): number {
    return this.ends[row]!;
  }

  appendedAt(): number {
    return this.takenAt;
  }
}
