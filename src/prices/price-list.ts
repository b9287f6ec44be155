import { isDeepStrictEqual } from 'node:util';

/** What one model costs from a time on, in trillionths of a US dollar for a token. */
export interface Price {
  /** Milliseconds of the epoch; it holds until the next one of the model. */
  readonly from: number;
  readonly prompt: bigint;
  readonly completion: bigint;
  /** Of the prompt, read from a cache. Undefined, as for those below: like the rest of its whole. */
  readonly cacheRead: bigint | undefined;
  readonly cacheWrite: bigint | undefined;
  readonly audioPrompt: bigint | undefined;
  /** Of the completion, thought and not said. */
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

/** Prices of models, each with the time from which it holds. Does not change. */
export class PriceList {
  /**
   * @param version stored with each entry; tells one list from another
   * @param models by name, the latest price first
   */
  constructor(
    readonly version: string,
    private readonly models: ReadonlyMap<string, readonly Price[]>,
  ) {}

  /**
   * What a call costs in billionths of a US dollar, rounded half up. Null if no price of the model
   * holds at that time: an unknown cost is not a cost of nothing.
   */
  costNanos(model: string, tokens: PricedTokens, at: Date): bigint | null {
    const price = this.priceOf(model, at.getTime());
    return price ? (costPicos(price, tokens) + PICOS / 2n) / PICOS : null;
  }

  /** Whether it is the same list: version, models and prices. */
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

/** Never charges more tokens than the whole has, whatever an upstream says of its parts. */
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
