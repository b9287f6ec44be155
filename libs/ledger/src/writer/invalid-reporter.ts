import { BoundedJson } from '../codec/bounded-json.js';
import type { EntryFault } from '../codec/entry-parser.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { Clock } from '../clock/clock.js';
import type { DeadLetterKeeper } from './dead-letter-keeper.js';

/** Kept characters of one field's value, enough for a human reader. */
const MAX_VALUE_LENGTH = 8192;
/**
 * Kept characters of all values of a letter. A keeper holds at most 1,000 letters, so invalid
 * entries use at most about 32 MiB in addition to the channel.
 */
const MAX_LETTER_LENGTH = 16_384;

/** Dependencies of the reporter. */
export interface InvalidReporterParts {
  readonly keeper: DeadLetterKeeper;
  readonly losses: LossReporter;
  readonly clock: Clock;
  /** Names of the fields that an entry may have. */
  readonly fields: readonly string[];
}

/**
 * Reports invalid entries, and keeps them as dead letters as far as they can be serialised. Each
 * field is serialised separately, so an unreadable field does not affect the others.
 *
 * @internal
 */
export class InvalidReporter {
  readonly #parts: InvalidReporterParts;
  readonly #json = new BoundedJson(MAX_VALUE_LENGTH);
  #isReading = false;

  constructor(parts: InvalidReporterParts) {
    this.#parts = parts;
  }

  /** Never throws, whatever the entry is. */
  note(fault: EntryFault, entry: unknown): void {
    const { losses, keeper, clock, fields } = this.#parts;
    const detail = `${fault.field} ${fault.rule}`;
    losses.note('invalid', 1, { reason: detail });
    // A getter that records an invalid entry would otherwise recurse without end.
    if (!keeper.hasRoom || this.#isReading) return;
    const now = clock.now();
    this.#isReading = true;
    const kept = readable(entry, fields, this.#json);
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

function readable(
  entry: unknown,
  fields: readonly string[],
  json: BoundedJson,
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  if (typeof entry !== 'object' || entry === null) return kept;
  let left = MAX_LETTER_LENGTH;
  for (const field of fields) {
    const text = plainText(entry, field, json);
    if (text === undefined || text.length > left) continue;
    left -= text.length;
    kept[field] = JSON.parse(text) as unknown;
  }
  return kept;
}

/** No column accepts a larger bigint, and converting a huge one to text takes seconds. */
const LARGEST_BIGINT = 10n ** BigInt(MAX_VALUE_LENGTH);

function bigintText(value: bigint): string | undefined {
  return value < LARGEST_BIGINT && value > -LARGEST_BIGINT ? `"${value}"` : undefined;
}

/**
 * A field's value as JSON text; undefined if it is unreadable or too long. A long string is cut.
 * Parsing the text again makes a copy that does not retain the caller's string, which may be long.
 */
function plainText(entry: object, field: string, json: BoundedJson): string | undefined {
  try {
    const value = (entry as Record<string, unknown>)[field];
    if (typeof value === 'bigint') return bigintText(value);
    if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_VALUE_LENGTH));
    const count = json.write(value);
    return count < 0 ? undefined : json.target.bytes.toString('utf8', 0, count);
  } catch {
    return undefined;
  }
}
