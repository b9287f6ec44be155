import { parsePrices } from './price-file.js';

/**
 * Dollars for a million tokens read, read from a cache, and written, by a model's name. Source:
 * https://openai.com/api/pricing, state of 2025. An example: a real gateway uses the prices of its
 * contract (`GATEWAY_PRICES`).
 */
const PRICES: readonly (readonly [
  model: string,
  prompt: number,
  cacheRead: number | undefined,
  completion: number,
])[] = [
  ['gpt-5-nano', 0.05, 0.005, 0.4],
  ['gpt-5-mini', 0.25, 0.025, 2],
  ['gpt-5', 1.25, 0.125, 10],
  ['gpt-4.1-nano', 0.1, 0.025, 0.4],
  ['gpt-4.1-mini', 0.4, 0.1, 1.6],
  ['gpt-4.1', 2, 0.5, 8],
  ['gpt-4o-mini', 0.15, 0.075, 0.6],
  ['gpt-4o', 2.5, 1.25, 10],
  ['gpt-4o-2024-05-13', 5, undefined, 15],
  ['gpt-4-turbo', 10, undefined, 30],
  ['gpt-4-turbo-preview', 10, undefined, 30],
  ['gpt-4', 30, undefined, 60],
  ['gpt-3.5-turbo', 0.5, undefined, 1.5],
  ['gpt-3.5-turbo-1106', 1, undefined, 2],
  ['gpt-3.5-turbo-0613', 1.5, undefined, 2],
  ['o4-mini', 1.1, 0.275, 4.4],
  ['o3-mini', 1.1, 0.55, 4.4],
  ['o3', 2, 0.5, 8],
  ['o1', 15, 7.5, 60],
  ['text-embedding-3-small', 0.02, undefined, 0],
  ['text-embedding-3-large', 0.13, undefined, 0],
];

/** Prices for trying the gateway. */
export const builtInPrices = parsePrices({
  version: 'built-in-2025',
  models: Object.fromEntries(
    PRICES.map(([model, prompt, cacheRead, completion]) => [
      model,
      [{ prompt, completion, ...(cacheRead === undefined ? {} : { cacheRead }) }],
    ]),
  ),
});
