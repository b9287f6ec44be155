/** Final fate of an entry that somebody waits for. @internal */
export type Settlement = {
  /** The entry's uuid, where it is another than its caller was given a place with. */
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
 * Entries whose callers wait for the commit, in the order of their positions. Those before the
 * channel's head are with a worker; a caller whose wait ended stays until its entry is settled.
 *
 * @internal
 */
export class CommitLine {
  #entries: AwaitedEntry[] = [];
  #first = 0;
  /**
   * Callers who only look on, in the order of their positions: no batch is written for them. Not a Map: each
   * table that it has outgrown refers to the next one, so that one of them which got old keeps all that
   * watched since from the collector of young objects, 1 KiB for each.
   */
  #watchers: AwaitedEntry[] = [];

  /**
   * Hears what becomes of an entry, wherever it is by now; no batch is written earlier for it.
   * @param entry of which nobody else hears in this way
   * @returns takes that back
   */
  watch(entry: AwaitedEntry): () => void {
    this.#watchers.splice(firstFrom(this.#watchers, entry.position), 0, entry);
    return () => {
      const index = firstFrom(this.#watchers, entry.position);
      if (this.#watchers[index] === entry) this.#watchers.splice(index, 1);
    };
  }

  /** Takes out those who look on at entries that are settled now. @param isSettled asked for each position */
  takeWatchers(isSettled: (position: number) => boolean): AwaitedEntry[] {
    // Callers watch for as long as a write to the journal takes, so these are few.
    const taken = this.#watchers.filter(({ position }) => isSettled(position));
    if (taken.length > 0) {
      this.#watchers = this.#watchers.filter(({ position }) => !isSettled(position));
    }
    return taken;
  }

  /** Adds an entry that no worker has, nearly always behind all others. */
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

  /** Takes out the entries before a position, in order; they go along with the batch. */
  take(position: number): AwaitedEntry[] {
    let end = this.#first;
    while (end < this.#entries.length && this.#entries[end]!.position < position) end++;
    const taken = this.#entries.slice(this.#first, end);
    this.#first = end;
    this.#compact();
    return taken;
  }

  /** Under steady load somebody always waits: those taken must not pile up in front of them. */
  #compact(): void {
    if (2 * this.#first < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}

/** Index of the first entry at a position or behind it. */
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
