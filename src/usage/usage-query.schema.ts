import { z } from 'zod';

const id = z.string().min(1).max(256);
const time = z.iso
  .datetime({ offset: true })
  .or(z.iso.date())
  .transform((text) => new Date(text));

/**
 * The period is half-open, `[from, to)`: ISO 8601 with an offset, or a day, which begins in UTC.
 */
export const summaryQuery = z.object({
  userId: id.optional(),
  apiKeyId: id.optional(),
  from: time.optional(),
  to: time.optional(),
});

const day = z.iso.date();
const names = z
  .string()
  .default('')
  .transform((text) => text.split(',').filter(Boolean));

/**
 * `from` and `to` are times, or days of `timeZone`; `groupBy` and `sum` are names separated by
 * commas.
 */
export const reportQuery = z.object({
  userId: id.optional(),
  from: day.or(time),
  to: day.or(time),
  timeZone: z.string().max(64).optional(),
  groupBy: names,
  sum: names,
  writtenBefore: time.optional(),
});

/** `cursor` is the `nextCursor` of the previous page. */
export const entriesQuery = z.object({
  userId: id.optional(),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  cursor: z.string().min(1).optional(),
});
