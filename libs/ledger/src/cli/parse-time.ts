import { InvalidArgumentError } from 'commander';
import { CommandError } from './command.error.js';

/** A month, a day, or a time of day with or without a zone. */
const ISO_TIME =
  /^(\d{4}-\d\d)(?:(-\d\d)(?:(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?)?$/;

/** The rule in help texts. @internal */
export const TIME_RULE = 'ISO 8601, in UTC unless it names a zone';

/**
 * A time in ISO 8601: `2026-01`, `2026-01-31` (their beginnings), `2026-01-31T12:30`, with or
 * without seconds, and with `Z` or `+02:00`. Without a zone it is UTC, on any machine.
 *
 * @throws InvalidArgumentError, also for days that a month does not have
 * @internal
 */
export function parseTime(text: string): Date {
  const [, month, day = '-01', time = 'T00:00', zone = 'Z'] = ISO_TIME.exec(text) ?? [];
  const moment = new Date(`${month}${day}${time}${zone}`);
  const midnight = new Date(`${month}${day}T00:00Z`);
  // The 30th of February is one of March to Date.
  if (Number.isNaN(+moment) || !midnight.toISOString().startsWith(`${month}${day}`)) {
    throw new InvalidArgumentError(
      `must be a time in ${TIME_RULE}, like 2026-01-31 or 2026-01-31T12:30:00+02:00`,
    );
  }
  return moment;
}

/** @throws CommandError if the half-open period is empty @internal */
export function checkPeriod(from: Date | undefined, to: Date | undefined): void {
  if (from === undefined || to === undefined || from < to) return;
  const [first, last] = [from, to].map((time) => time.toISOString());
  throw new CommandError(`--from (${first}) must be before --to (${last})`);
}
