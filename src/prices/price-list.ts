import { isDeepStrictEqual } from 'node:util';

/** The price of one model from a time on, in trillionths of a US dollar for a token. */
export interface Price {
  /** Milliseconds of the epoch; valid until the model's next price. */
  readonly from: number;
  readonly prompt: bigint;
  readonly completion: bigint;
  /**
   * Part of the prompt, read from a cache. Undefined, like for those below: priced like the rest of
   * the whole.
   */
  readonly cacheRead: bigint | undefined;
  readonly cacheWrite: bigint | undefined;
  readonly audioPrompt: bigint | undefined;
  /** Part of the completion: reasoning that is not in the answer. */
  readonly reasoning: bigint | undefined;
  readonly audioCompletion: bigint | undefined;
}

/** Tokens of a call. Each part is contained in its whole; undefined counts as 0. */
export interface PricedTokens {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cacheReadTokens?: number | undefined;
  readonly cacheWriteTokens?: number | undefined;
  readonly audioPromptTokens?: number | undefined;
  readonly reasoningTokens?: number | undefined;
  readonly audioCompletionTokens?: number | undefined;
}

/** A version of a model costs the same unless it is listed: `-2024-08-06`, `-0613`. */
const VERSION = /-\d{4}(-\d{2}-\d{2})?$/;
/** Trillionths in a billionth. */
const PICOS = 1000n;

/** Prices of models, each with the start of its validity. Immutable. */
export class PriceList {
  /**
   * @param version stored with each entry; distinguishes lists
   * @param models by name, the latest price first
   */
  constructor(
    readonly version: string,
    private readonly models: ReadonlyMap<string, readonly Price[]>,
  ) {}

  /**
   * The cost of a call in billionths of a US dollar, rounded half up. Null if the model has no
   * price at that time, because an unknown cost is not zero.
   */
  costNanos(model: string, tokens: PricedTokens, at: Date): bigint | null {
    const price = this.priceOf(model, at.getTime());
    return price ? (costPicos(price, tokens) + PICOS / 2n) / PICOS : null;
  }

  /** Whether the list is equal: version, models and prices. */
  equals(other: PriceList): boolean {
    return this.version === other.version && isDeepStrictEqual(this.models, other.models);
  }

  private priceOf(model: string, at: number): Price | undefined {
    const prices = this.models.get(model) ?? this.models.get(model.replace(VERSION, ''));
    return prices?.find(({ from }) => from <= at);
  }
}

function costPicos(price: Price, tokens: PricedTokens): bigint {
  const { prompt, completion } = price;
  return (
    costOfParts(tokens.promptTokens, prompt, [
      [tokens.cacheReadTokens, price.cacheRead],
      [tokens.cacheWriteTokens, price.cacheWrite],
      [tokens.audioPromptTokens, price.audioPrompt],
    ]) +
    costOfParts(tokens.completionTokens, completion, [
      [tokens.reasoningTokens, price.reasoning],
      [tokens.audioCompletionTokens, price.audioCompletion],
    ])
  );
}

type Part = readonly [tokens: number | undefined, price: bigint | undefined];

/** Never charges more tokens than the whole has, for any parts reported by an upstream. */
function costOfParts(whole: number, price: bigint, parts: readonly Part[]): bigint {
  let rest = whole;
  let cost = 0n;
  for (const [tokens = 0, ownPrice] of parts) {
    if (ownPrice === undefined) continue;
    const charged = Math.min(tokens, rest);
    rest -= charged;
    cost += BigInt(charged) * ownPrice;
  }
  return cost + BigInt(rest) * price;
}
