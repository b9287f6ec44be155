/** Final result of an awaited entry. @internal */
export type Settlement = {
  /** The entry's uuid, if it differs from the uuid given with its place. */
  readonly uuid?: string;
} & (
  | { readonly outcome: 'written' | 'duplicate' }
  | {
      readonly outcome: 'deadLettered';
      readonly reason: 'refused' | 'conflict';
      readonly sqlState: string | undefined;
    }
  | { readonly outcome: 'spilled'; readonly file: string }
  | { readonly outcome: 'lost' }
);

/** An entry in the channel whose caller waits for its commit. @internal */
export interface AwaitedEntry {
  readonly position: number;
  /** Called exactly once. */
  readonly settle: (settlement: Settlement) => void;
}

/**
 * Entries whose callers wait for the commit, by position. A worker has those before the channel's
 * head. An entry stays until it is settled, even if its caller's wait ended.
 *
 * @internal
 */
export class CommitLine {
  #entries: AwaitedEntry[] = [];
  #first = 0;
  /**
   * Callers who watch an entry, by position: no batch is written for them. This is not a Map. Each
   * outgrown table of a Map refers to the next one. One old table therefore keeps all later
   * watchers from the collector of young objects, 1 KiB for each.
   */
  #watchers: AwaitedEntry[] = [];

  /**
   * Reports the result of an entry, in the channel or in a batch. No batch is written earlier for
   * it.
   * @param entry must have no other watcher
   * @returns cancels the watch
   */
  watch(entry: AwaitedEntry): () => void {
    this.#watchers.splice(firstFrom(this.#watchers, entry.position), 0, entry);
    return () => {
      const index = firstFrom(this.#watchers, entry.position);
      if (this.#watchers[index] === entry) this.#watchers.splice(index, 1);
    };
  }

  /**
   * Removes and returns the watchers of settled entries.
   * @param isSettled called for each position
   */
  takeWatchers(isSettled: (position: number) => boolean): AwaitedEntry[] {
    // Callers watch only during a write to the journal, so these are few.
    const taken = this.#watchers.filter(({ position }) => isSettled(position));
    if (taken.length > 0) {
      this.#watchers = this.#watchers.filter(({ position }) => !isSettled(position));
    }
    return taken;
  }

  /** Adds an entry that no worker has, nearly always at the end. */
  join(entry: AwaitedEntry): void {
    let index = this.#entries.length;
    while (index > this.#first && this.#entries[index - 1]!.position > entry.position) index--;
    if (index === this.#entries.length) this.#entries.push(entry);
    else this.#entries.splice(index, 0, entry);
  }

  /** Whether an awaited entry is still in the channel. */
  get hasWaiting(): boolean {
    return this.#first < this.#entries.length;
  }

  /** Removes and returns the entries before a position, in order, for their batch. */
  take(position: number): AwaitedEntry[] {
    let end = this.#first;
    while (end < this.#entries.length && this.#entries[end]!.position < position) end++;
    const taken = this.#entries.slice(this.#first, end);
    this.#first = end;
    this.#compact();
    return taken;
  }

  /** Under steady load an entry always waits, so taken ones must not pile up in front of it. */
  #compact(): void {
    if (2 * this.#first < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}

/** Index of the first entry at or after a position. */
function firstFrom(entries: readonly AwaitedEntry[], position: number): number {
  const last = entries.at(-1);
  if (last === undefined || last.position < position) return entries.length;
  let low = 0;
  for (let high = entries.length - 1; low < high;) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.position < position) low = middle + 1;
    else high = middle;
  }
  return low;
}
