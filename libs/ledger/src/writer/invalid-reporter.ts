import type { EntryFault } from '../codec/entry-parser.js';
import type { DeadLetter } from '../sink/dead-letter-store.interface.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { Clock } from './clock.js';
import type { DeadLetterKeeper } from './dead-letter-keeper.js';

/** Bytes of one field's value that are kept; the letter is for a person to read. */
const MAX_VALUE_LENGTH = 8192;

/** What the reporter is made of. */
export interface InvalidReporterParts {
  readonly keeper: DeadLetterKeeper;
  readonly losses: LossReporter;
  readonly clock: Clock;
  /** Names of the fields that an entry may have. */
  readonly fields: readonly string[];
}

/**
 * Tells of invalid entries, and keeps them as dead letters as far as they can be serialised: each
 * field by itself, so that one that can't be read takes no other along.
 *
 * @internal
 */
export class InvalidReporter {
  readonly #parts: InvalidReporterParts;
  #isReading = false;

  constructor(parts: InvalidReporterParts) {
    this.#parts = parts;
  }

  /** Never throws, whatever the entry is. */
  note(fault: EntryFault, entry: unknown): void {
    const { losses, keeper, clock, fields } = this.#parts;
    const detail = `${fault.field} ${fault.rule}`;
    losses.note('invalid', 1, { reason: detail });
    // A getter that records an invalid entry would be read again, and again.
    if (!keeper.hasRoom || this.#isReading) return;
    const now = clock.now();
    this.#isReading = true;
    const kept = readable(entry, fields);
    this.#isReading = false;
    const uuid = typeof kept['uuid'] === 'string' ? kept['uuid'] : undefined;
    keeper.keepLater(letterOf({ uuid, detail, now, entry: kept }));
  }
}

function letterOf(from: {
  uuid: string | undefined;
  detail: string;
  now: number;
  entry: Record<string, unknown>;
}): DeadLetter {
  const { uuid, detail, now, entry } = from;
  const isUuid = uuid !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid);
  return {
    uuid: isUuid ? uuid : undefined,
    reason: 'invalid',
    sqlState: undefined,
    detail,
    attempts: 0,
    queuedAt: now,
    deadLetteredAt: now,
    entry,
  };
}

function readable(entry: unknown, fields: readonly string[]): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  if (typeof entry !== 'object' || entry === null) return kept;
  for (const field of fields) {
    const value = plain(entry, field);
    if (value !== undefined) kept[field] = value;
  }
  return kept;
}

/** A field's value as plain JSON; undefined if it can't be read or is too long. */
function plain(entry: object, field: string): unknown {
  try {
    const value = (entry as Record<string, unknown>)[field];
    if (typeof value === 'bigint') return value.toString();
    if (typeof value === 'string') return value.slice(0, MAX_VALUE_LENGTH);
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined || text.length > MAX_VALUE_LENGTH) return undefined;
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
