/**
 * The lowest position that is not settled, where positions settle out of order, each once. It costs
 * a map entry for each range that settled before an earlier one.
 *
 * @internal
 */
export class SettledMark {
  /** Every position before this one is settled. */
  position = 0;
  /** End of each range behind the mark, by its start. */
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
