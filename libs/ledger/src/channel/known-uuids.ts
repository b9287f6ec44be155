import { RowCodec } from '../codec/row-codec.js';
import type { UuidColumn } from '../codec/uuid-column.js';
import { isLedgerUuidV8, isUuidOfRun } from '../codec/uuid.js';
import { AnsweredUuids } from './answered-uuids.js';

/**
 * Decides which uuids a caller may give. Uuids made by the ledger are refused. Any caller can
 * compute the next ones of a run, or the uuid of another caller's idempotency key. An entry with
 * such a uuid would turn the real one into a conflict. A caller who received a uuid as an answer
 * may give it back.
 *
 * @internal
 */
export class KnownUuids {
  readonly #answered: AnsweredUuids;
  readonly #run: number;
  readonly #refusesKeyUuids: boolean;

  /**
   * @param refusesKeyUuids false if set-aside entries come back by `record()`, because no replay
   *   can reach the application's own sink
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
   * True for a row whose uuid this run made and no caller has received yet. A caller who has a uuid
   * may have repeated it with other content.
   */
  isOwnUnanswered(row: Buffer): boolean {
    const view = RowCodec.uuidViewOf(row);
    return isUuidOfRun(view, this.#run) && !this.#answered.hasOfRun(view);
  }

  /** True for a uuid that a caller can only have computed. */
  refuses(uuid: UuidColumn): boolean {
    if (uuid.isNull) return false;
    const { view } = uuid;
    if (isUuidOfRun(view, this.#run)) return !this.#answered.hasOfRun(view);
    return this.#refusesKeyUuids && isLedgerUuidV8(view) && !this.#answered.hasOfKey(uuid.text!);
  }
}
