/**
 * The lowest unsettled position. Positions settle out of order, each once. Each range that settled
 * before an earlier one costs a map entry.
 *
 * @internal
 */
export class SettledMark {
  /** Every position before this one is settled. */
  position = 0;
  /** End of each range after the mark, by its start. */
  readonly #behind = new Map<number, number>();

  /** Counts `count` positions, 1 or more, as settled. */
  settle(start: number, count: number): void {
    if (start !== this.position) {
      this.#behind.set(start, start + count);
      return;
    }
    let end: number | undefined = start + count;
    while (end !== undefined) {
      this.position = end;
      end = this.#behind.get(this.position);
      this.#behind.delete(this.position);
    }
  }
}
