/**
 * Work under way that may still record. It is a link of the list that it is in: each call over HTTP
 * comes and goes, and a `Set` of them cost more than the entry itself.
 *
 * @internal
 */
export interface OpenCall {
  before?: OpenCall | undefined;
  after?: OpenCall | undefined;
  isListed?: boolean;
  /** The time is up: record what is known so far. Never throws. */
  abort(): void;
}

/** The work under way of one ledger; a stop waits for it before it seals. @internal */
export interface OpenCallList {
  /** Adding one that is there does nothing. */
  add(call: OpenCall): void;
  /** Removing one that is not there does nothing. */
  delete(call: OpenCall): void;
}
