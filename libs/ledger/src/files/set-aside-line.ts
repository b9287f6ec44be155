import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { SpilledEntry } from '../ports/spill-store.interface.js';

/**
 * One line of a file of spilled entries or dead letters; `replay` reads both alike.
 *
 * @internal
 */
export interface SetAsideLine {
  /** Version of this format. */
  readonly v: 1;
  readonly uuid: string | null;
  /** `spilled`, or the reason for the dead letter. */
  readonly reason: 'spilled' | DeadLetter['reason'];
  readonly sqlState: string | null;
  /** Constraint, column or field at fault, and the rule; null for a spilled entry. */
  readonly detail: string | null;
  readonly attempts: number;
  /** True if the table may contain the entry already. */
  readonly mayExist: boolean;
  /** ISO 8601, UTC. */
  readonly queuedAt: string;
  readonly setAsideAt: string;
  /** The whole entry, as accepted by `record()`. */
  readonly entry: Readonly<Record<string, unknown>>;
}

/** @returns JSON without a line break @internal */
export function deadLetterLine(letter: DeadLetter): string {
  const { attempts, deadLetteredAt, detail, entry, queuedAt, reason, sqlState, uuid } = letter;
  const line: SetAsideLine = {
    v: 1,
    uuid: uuid ?? null,
    reason,
    sqlState: sqlState ?? null,
    detail,
    attempts,
    mayExist: false,
    queuedAt: toIso(queuedAt),
    setAsideAt: toIso(deadLetteredAt),
    entry,
  };
  // An invalid entry may have ids as bigint, which JSON does not support; `record()` accepts
  // strings.
  return JSON.stringify(line, (_key, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

/** @param spilledAt milliseconds since 1970 @returns JSON without a line break @internal */
export function spilledLine(spilled: SpilledEntry, spilledAt: number): string {
  const { attempts, entry, mayExist, queuedAt, uuid } = spilled;
  const line: SetAsideLine = {
    v: 1,
    uuid,
    reason: 'spilled',
    sqlState: null,
    detail: null,
    attempts,
    mayExist,
    queuedAt: toIso(queuedAt),
    setAsideAt: toIso(spilledAt),
    entry,
  };
  // It was decoded from its row, so it is JSON already: a replacer would take half as long again.
  return JSON.stringify(line);
}

function toIso(ms: number): string {
  return new Date(ms).toISOString();
}
