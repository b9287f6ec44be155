/**
 * Billionths of a US dollar for a token read and a token written, by a model's name. Source: https://openai.com/api/pricing (dollars for a million tokens, times 1,000), as it
 * stood in 2025. An example: a real gateway takes its prices from its contract.
 */
const PRICES: Readonly<Record<string, readonly [read: number, written: number]>> = {
  'gpt-5-nano': [50, 400],
  'gpt-5-mini': [250, 2_000],
  'gpt-5': [1_250, 10_000],
  'gpt-4.1-nano': [100, 400],
  'gpt-4.1-mini': [400, 1_600],
  'gpt-4.1': [2_000, 8_000],
  'gpt-4o-mini': [150, 600],
  'gpt-4o': [2_500, 10_000],
  'gpt-4o-2024-05-13': [5_000, 15_000],
  'gpt-4-turbo': [10_000, 30_000],
  'gpt-4-turbo-preview': [10_000, 30_000],
  'gpt-4': [30_000, 60_000],
  'gpt-3.5-turbo': [500, 1_500],
  'gpt-3.5-turbo-1106': [1_000, 2_000],
  'gpt-3.5-turbo-0613': [1_500, 2_000],
  'o4-mini': [1_100, 4_400],
  'o3-mini': [1_100, 4_400],
  o3: [2_000, 8_000],
  o1: [15_000, 60_000],
};
/** A version costs the same unless it is listed: `-2024-08-06`, `-0613`. */
const VERSION = /-\d{4}(-\d{2}-\d{2})?$/;

/**
 * What a call costs in billionths of a US dollar, or null if the model has no price here: an
 * unknown cost is not a cost of nothing.
 */
export function costNanos(
  model: string,
  promptTokens: number,
  completionTokens: number,
): number | null {
  const name = [model, model.replace(VERSION, '')].find((each) => Object.hasOwn(PRICES, each));
  const price = name === undefined ? undefined : PRICES[name];
  return price ? promptTokens * price[0] + completionTokens * price[1] : null;
}
