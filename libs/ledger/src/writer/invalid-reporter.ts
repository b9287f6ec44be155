import { BoundedJson } from '../codec/bounded-json.js';
import type { EntryFault } from '../codec/entry-parser.js';
import type { DeadLetter } from '../ports/dead-letter-store.interface.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { Clock } from '../clock/clock.js';
import type { DeadLetterKeeper } from './dead-letter-keeper.js';

/** Characters of one field's value that are kept; the letter is for a person to read. */
const MAX_VALUE_LENGTH = 8192;
/**
 * Characters of all values of a letter. A keeper holds 1,000 letters at most, so what callers get
 * wrong holds no more than about 32 MiB beside the channel.
 */
const MAX_LETTER_LENGTH = 16_384;

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
    // A getter that records an invalid entry would be read again, and again.
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

/** No column takes a bigint beyond it; to spell out a huge one takes seconds. */
const LARGEST_BIGINT = 10n ** BigInt(MAX_VALUE_LENGTH);

function bigintText(value: bigint): string | undefined {
  return value < LARGEST_BIGINT && value > -LARGEST_BIGINT ? `"${value}"` : undefined;
}

/**
 * A field's value as JSON text; undefined if it can't be read or is too long. A long string is cut.
 * A text that is parsed again shares no memory with the caller's string, which may be long.
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
