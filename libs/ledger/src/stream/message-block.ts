import type { RowBlock } from '../channel/batch.js';
import type { StreamMessage } from '../ports/ledger-stream.interface.js';

/** The rows of one message. The message is done when the last row is settled. @internal */
export class MessageBlock implements RowBlock {
  /** Rows without a final fate. */
  unsettled: number;
  /** One of its rows, and thus the message, must be delivered again. */
  isLeftBehind = false;

  /**
   * @param bytes the payload, or the rows converted from it
   * @param ends end of each row in `bytes`
   * @param takenAt monotonic milliseconds of the message's arrival, used as the age of each row
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
