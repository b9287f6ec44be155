import { RowCodec } from '../codec/row-codec.js';
import type { UuidColumn } from '../codec/uuid-column.js';
import { isLedgerUuidV8, isUuidOfRun } from '../codec/uuid.js';
import { AnsweredUuids } from './answered-uuids.js';

/**
 * Which uuids a caller may give. Those that the ledger makes itself are refused: any caller can work out
 * the next ones of a run, or the uuid of somebody else's idempotency key, and an entry under such a uuid
 * would make the real one a conflict. A caller who got a uuid as an answer may give it back.
 *
 * @internal
 */
export class KnownUuids {
  readonly #answered: AnsweredUuids;
  readonly #run: number;
  readonly #refusesKeyUuids: boolean;

  /**
   * @param refusesKeyUuids false where entries that were set aside come back by `record()`, since no
   * replay knows the way to the application's own sink
   */
  constructor(run: number, refusesKeyUuids: boolean) {
    this.#answered = new AnsweredUuids(run);
    this.#run = run;
    this.#refusesKeyUuids = refusesKeyUuids;
  }

  /** Remembers a uuid that its caller may repeat. */
  noteAnswered(uuid: string): void {
    this.#answered.add(uuid);
  }

  /**
   * True for a row whose uuid this run made and that no caller was given yet: a caller who has a uuid may
   * have repeated it with content of its own.
   */
  isOwnUnanswered(row: Buffer): boolean {
    const view = RowCodec.uuidViewOf(row);
    return isUuidOfRun(view, this.#run) && !this.#answered.hasOfRun(view);
  }

  /** True for a uuid that its caller can't have but by working it out. */
  refuses(uuid: UuidColumn): boolean {
    if (uuid.isNull) return false;
    const { view } = uuid;
    if (isUuidOfRun(view, this.#run)) return !this.#answered.hasOfRun(view);
    return this.#refusesKeyUuids && isLedgerUuidV8(view) && !this.#answered.hasOfKey(uuid.text!);
  }
}
