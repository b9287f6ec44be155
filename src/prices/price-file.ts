import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { PriceList, type Price } from './price-list.js';

/** Far above any list of prices; a larger file is something else. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
/** Dollars for a million tokens, in trillionths of a dollar for one: 10^12 / 10^6. */
const PICOS_PER_DOLLAR = 6;

/**
 * Dollars for a million tokens, as a number or a text: at most 6 decimals, so that sums are exact.
 */
const dollars = z
  .union([z.number(), z.string()])
  .transform((value) => String(value))
  .refine((text) => /^\d{1,6}(\.\d{1,6})?$/.test(text), 'dollars for a million tokens, as 2.5')
  .transform((text) => {
    const [whole = '', decimals = ''] = text.split('.');
    return BigInt(whole + decimals.padEnd(PICOS_PER_DOLLAR, '0'));
  });

const time = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })])
  .transform((text) => Date.parse(text));

const price = z.strictObject({
  from: time.default(-Infinity),
  prompt: dollars,
  completion: dollars.default(0n),
  cacheRead: dollars.optional(),
  cacheWrite: dollars.optional(),
  audioPrompt: dollars.optional(),
  reasoning: dollars.optional(),
  audioCompletion: dollars.optional(),
});

const prices = z
  .array(price)
  .min(1)
  .refine(
    (list) => new Set(list.map(({ from }) => from)).size === list.length,
    'two prices from the same time on',
  );

/** The file of `GATEWAY_PRICES`. A misspelt name is a fault, and not a price of zero. */
const priceFile = z.strictObject({
  version: z
    .string()
    .min(1)
    .max(64)
    .refine((text) => text.isWellFormed() && !text.includes('\0'), 'plain text'),
  models: z.record(z.string().min(1).max(256), prices),
});

/**
 * Reads a list of prices.
 *
 * @throws Error that names the first faults of the file
 */
export function readPriceFile(path: string): PriceList {
  const text = readFileSync(path);
  if (text.length > MAX_FILE_BYTES) throw new Error('a list of prices has at most 8 MiB');
  return parsePrices(JSON.parse(text.toString('utf8')));
}

/** @throws Error that names the first faults */
export function parsePrices(given: unknown): PriceList {
  const { data, error } = priceFile.safeParse(given);
  if (!data) {
    const faults = error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(faults.slice(0, 5).join('; '));
  }
  const models = Object.entries(data.models).map(([name, list]): [string, Price[]] => [
    name,
    list.map(toPrice).sort((a, b) => b.from - a.from),
  ]);
  return new PriceList(data.version, new Map(models));
}

function toPrice(given: z.infer<typeof price>): Price {
  return {
    from: given.from,
    prompt: given.prompt,
    completion: given.completion,
    cacheRead: given.cacheRead,
    cacheWrite: given.cacheWrite,
    audioPrompt: given.audioPrompt,
    reasoning: given.reasoning,
    audioCompletion: given.audioCompletion,
  };
}
