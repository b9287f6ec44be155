import { fieldsOf, type Fields } from './fields.js';

/**
 * Tokens of one call, under uniform names. A figure that was not reported is undefined. Every part
 * is contained in its whole: cached tokens in the prompt, reasoning in the completion.
 */
export interface TokenUsage {
  readonly promptTokens?: number | undefined;
  readonly completionTokens?: number | undefined;
  /** Part of the prompt read from a cache. */
  readonly cacheReadTokens?: number | undefined;
  /** Part of the prompt written to a cache. */
  readonly cacheWriteTokens?: number | undefined;
  /** Reasoning part of the completion, not in the answer. */
  readonly reasoningTokens?: number | undefined;
  /** Audio part of the prompt. */
  readonly audioPromptTokens?: number | undefined;
  /** Audio part of the completion. */
  readonly audioCompletionTokens?: number | undefined;
  /**
   * Tokens of cited pages, and searches: in addition to prompt and completion, and charged
   * separately.
   */
  readonly citationTokens?: number | undefined;
  readonly searchQueries?: number | undefined;
}

/** The largest figure that an entry can hold. */
const MAX_TOKENS = 2_147_483_647;
const PROMPT_DETAILS = ['prompt_tokens_details', 'input_tokens_details', 'input_token_details'];
const COMPLETION_DETAILS = [
  'completion_tokens_details',
  'output_tokens_details',
  'output_token_details',
];

/**
 * Makes one record of a usage object of any vendor; docs/vendors.md has their shapes. Pure.
 *
 * - Figures as text count (`"21"`), since proxies write them so. Negative ones, fractions and those
 *   above 2^31-1 are no figures.
 * - A prompt of zero is no usage: every call has a prompt, and several servers fill in zeros until
 *   they know better.
 * - Where the total exceeds prompt and completion, the difference is completion: xAI and Gemini leave
 *   thought tokens out of the completion and charge them like it. A total below its parts is ignored:
 *   it is a sum, so the parts are what was measured.
 * - A part above its whole lies beside it: Perplexity's reasoning is added to the completion, and
 *   Anthropic's `input_tokens` leave out what was read from and written to the cache.
 *
 * @returns undefined if it tells nothing of the prompt
 */
export function normaliseUsage(told: unknown): TokenUsage | undefined {
  const usage = fieldsOf(told);
  const total = figure(usage.total_tokens);
  const stated = either(usage.completion_tokens, usage.output_tokens);
  const cacheReadTokens = cacheReadIn(usage);
  const cacheWriteTokens = cacheWriteIn(usage);
  const prompt = promptIn(usage, stated, (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0));
  if (!prompt) return undefined;
  const reasoningTokens =
    detail(usage, COMPLETION_DETAILS, 'reasoning_tokens') ?? figure(usage.reasoning_tokens);
  return {
    promptTokens: prompt,
    completionTokens: completionIn(stated, total && total - prompt, reasoningTokens),
    cacheReadTokens,
    cacheWriteTokens,
    reasoningTokens,
    audioPromptTokens: detail(usage, PROMPT_DETAILS, 'audio_tokens'),
    audioCompletionTokens: detail(usage, COMPLETION_DETAILS, 'audio_tokens'),
    citationTokens: figure(usage.citation_tokens) || undefined,
    searchQueries: figure(usage.num_search_queries) || undefined,
  };
}

/**
 * Merges two records reported by the same answer, the later one last. The last figure counts, but a
 * zero does not replace an earlier figure: running counts grow, and a final object of zeros is a
 * server's mistake.
 */
export function mergeUsage(earlier: TokenUsage, later: TokenUsage): TokenUsage {
  return {
    promptTokens: later.promptTokens || earlier.promptTokens,
    completionTokens: later.completionTokens || earlier.completionTokens || later.completionTokens,
    cacheReadTokens: later.cacheReadTokens || earlier.cacheReadTokens,
    cacheWriteTokens: later.cacheWriteTokens || earlier.cacheWriteTokens,
    reasoningTokens: later.reasoningTokens || earlier.reasoningTokens,
    audioPromptTokens: later.audioPromptTokens || earlier.audioPromptTokens,
    audioCompletionTokens: later.audioCompletionTokens || earlier.audioCompletionTokens,
    citationTokens: later.citationTokens || earlier.citationTokens,
    searchQueries: later.searchQueries || earlier.searchQueries,
  };
}

/** Sums the usage of choices reported one by one, like by Kimi: all have the same prompt. */
export function usageOfChoices(choices: readonly TokenUsage[]): TokenUsage | undefined {
  const [first, ...others] = choices;
  if (!first) return undefined;
  const plus = (a?: number, b?: number) =>
    a === undefined && b === undefined ? a : (a ?? 0) + (b ?? 0);
  return others.reduce(
    (sum, each) => ({
      ...sum,
      promptTokens: Math.max(sum.promptTokens ?? 0, each.promptTokens ?? 0),
      completionTokens: plus(sum.completionTokens, each.completionTokens),
      reasoningTokens: plus(sum.reasoningTokens, each.reasoningTokens),
      audioCompletionTokens: plus(sum.audioCompletionTokens, each.audioCompletionTokens),
    }),
    first,
  );
}

function promptIn(
  usage: Fields,
  completion: number | undefined,
  cached: number,
): number | undefined {
  const total = figure(usage.total_tokens);
  const inclusive = figure(usage.prompt_tokens) || undefined;
  const input = either(usage.input_tokens, usage.prompt_tokens);
  const isBeside = inclusive === undefined && usage.input_tokens_details === undefined;
  const isAnthropic =
    isBeside && ('cache_read_input_tokens' in usage || 'cache_creation_input_tokens' in usage);
  const prompt = inclusive ?? (input !== undefined && isAnthropic ? input + cached : input);
  if (prompt === undefined) {
    const rest = total !== undefined && completion !== undefined ? total - completion : 0;
    return rest > 0 ? rest : undefined;
  }
  return prompt > 0 && cached > prompt ? prompt + cached : prompt;
}

function completionIn(
  stated: number | undefined,
  rest: number | undefined,
  reasoning = 0,
): number | undefined {
  const completion = Math.max(stated ?? -1, rest ?? -1);
  if (completion < 0) return reasoning > 0 ? reasoning : undefined;
  return reasoning > completion ? completion + reasoning : completion;
}

function cacheReadIn(usage: Fields): number | undefined {
  return (
    detail(usage, PROMPT_DETAILS, 'cached_tokens') ??
    figure(usage.prompt_cache_hit_tokens) ??
    figure(usage.cache_read_input_tokens) ??
    figure(usage.cached_tokens)
  );
}

function cacheWriteIn(usage: Fields): number | undefined {
  return (
    detail(usage, PROMPT_DETAILS, 'cache_write_tokens') ??
    detail(usage, PROMPT_DETAILS, 'cache_creation_input_tokens') ??
    detail(usage, PROMPT_DETAILS, 'cache_creation_tokens') ??
    figure(usage.cache_creation_input_tokens)
  );
}

function detail(usage: Fields, groups: readonly string[], name: string): number | undefined {
  for (const group of groups) {
    const found = figure(fieldsOf(usage[group])[name]);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** One of two names of the same figure; proxies write zero for the unused one. */
function either(first: unknown, second: unknown): number | undefined {
  return figure(first) || (figure(second) ?? figure(first));
}

/** A number of tokens that an entry can contain. */
function figure(value: unknown): number | undefined {
  const isText = typeof value === 'string' && /^\s*\d+(\.0*)?\s*$/.test(value);
  const number = isText ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) return undefined;
  return number >= 0 && number <= MAX_TOKENS ? number : undefined;
}
