/**
 * Bytes of bodies and answers that the process holds at once. One caller gets at most half of them,
 * so that it cannot exclude all others.
 */
export class BytesInFlight {
  private readonly ofCaller = new Map<string, number>();
  private all = 0;

  /** @param maxBytes of all callers together */
  constructor(private readonly maxBytes: number) {}

  /** Bytes held now. */
  get bytes(): number {
    return this.all;
  }

  /** The bytes of one call; to be released once the call is over. */
  open(caller: string): HeldBytes {
    return new HeldBytes((bytes) => this.take(caller, bytes));
  }

  /** Negative bytes are released. */
  private take(caller: string, bytes: number): boolean {
    const own = (this.ofCaller.get(caller) ?? 0) + bytes;
    if (bytes > 0 && (own > this.maxBytes / 2 || this.all + bytes > this.maxBytes)) return false;
    this.all += bytes;
    if (own > 0) this.ofCaller.set(caller, own);
    else this.ofCaller.delete(caller);
    return true;
  }
}

/** Bytes that one call holds. */
export class HeldBytes {
  private held = 0;
  private isReleased = false;

  constructor(private readonly take: (bytes: number) => boolean) {}

  /** @returns false without room for them: they must not be kept then */
  add(bytes: number): boolean {
    if (this.isReleased) return true;
    if (!this.take(bytes)) return false;
    this.held += bytes;
    return true;
  }

  /** Releases all. Later additions do not count. May be called twice. */
  release(): void {
    this.isReleased = true;
    if (this.held > 0) this.take(-this.held);
    this.held = 0;
  }
}
