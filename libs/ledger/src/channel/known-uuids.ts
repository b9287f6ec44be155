import { RowCodec } from '../codec/row-codec.js';
import type { UuidColumn } from '../codec/uuid-column.js';
import { isLedgerUuidV8, isUuidOfRun } from '../codec/uuid.js';

/** Uuids that were answered to callers and are remembered; about 6 MiB. */
const MAX_ANSWERED = 65_536;

/**
 * Which uuids a caller may give. Those that the ledger makes itself are refused: any caller can work out
 * the next ones of a run, or the uuid of somebody else's idempotency key, and an entry under such a uuid
 * would make the real one a conflict. A caller who got a uuid as an answer may give it back.
 *
 * @internal
 */
export class KnownUuids {
  /** In the order of the answers. */
  readonly #answered = new Set<string>();
  /**
   * Stands at the oldest. One iterator for all: a new one passes the places of all that were removed at the
   * front since the set was last packed, which takes 17 µs at 10,000 uuids and 70 to 130 at 100,000.
   */
  #oldest: Iterator<string, undefined> | undefined;
  readonly #run: number;
  readonly #refusesKeyUuids: boolean;

  /**
   * @param refusesKeyUuids false where entries that were set aside come back by `record()`, since no
   * replay knows the way to the application's own sink
   */
  constructor(run: number, refusesKeyUuids: boolean) {
    this.#run = run;
    this.#refusesKeyUuids = refusesKeyUuids;
  }

  /** Remembers a uuid that its caller may repeat. */
  noteAnswered(uuid: string): void {
    const answered = this.#answered;
    answered.delete(uuid);
    answered.add(uuid);
    if (answered.size <= MAX_ANSWERED) return;
    // What it has passed is removed, or was added again behind it, so it never ends.
    this.#oldest ??= answered.values();
    answered.delete(this.#oldest.next().value!);
  }

  /**
   * True for a row whose uuid this run made and that no caller was given yet: a caller who has a uuid may
   * have repeated it with content of its own.
   */
  isOwnUnanswered(row: Buffer): boolean {
    const isOwn = isUuidOfRun(RowCodec.uuidViewOf(row), this.#run);
    return isOwn && !this.#answered.has(RowCodec.uuidOf(row));
  }

  /** True for a uuid that its caller can't have but by working it out. */
  refuses(uuid: UuidColumn): boolean {
    if (uuid.isNull) return false;
    const { view } = uuid;
    const isOwn = isUuidOfRun(view, this.#run) || (this.#refusesKeyUuids && isLedgerUuidV8(view));
    return isOwn && !this.#answered.has(uuid.text!);
  }
}
