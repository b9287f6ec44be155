/**
 * Running work that may still record entries. It is a node of a linked list, because a `Set` cost
 * more per HTTP call than the entry itself.
 *
 * @internal
 */
export interface OpenCall {
  before?: OpenCall | undefined;
  after?: OpenCall | undefined;
  isListed?: boolean;
  /** Called at the deadline: records the data known so far. Never throws. */
  abort(): void;
}

/** The open calls of one ledger; a shutdown waits for them before it seals. @internal */
export interface OpenCallList {
  /** Adding a call twice does nothing. */
  add(call: OpenCall): void;
  /** Removing an unknown call does nothing. */
  delete(call: OpenCall): void;
}
