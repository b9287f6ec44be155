import type { Vendor } from './vendor.js';

const text = { index: 0, delta: { role: 'assistant', content: 'Hello there' } };
const end = { index: 0, delta: {}, finish_reason: 'stop' };
/** Usage in a chunk without choices, before `[DONE]`, as OpenAI has it. */
const apart = (usage: object) => [
  { choices: [text], usage: null },
  { choices: [end], usage: null },
  { choices: [], usage },
];
/** Usage in the chunk that says why the answer ended. */
const beside = (usage: object) => [{ choices: [text] }, { choices: [end], usage }];

const PLAIN = { prompt_tokens: 21, completion_tokens: 30, total_tokens: 51 };
const CACHED = { ...PLAIN, prompt_tokens_details: { cached_tokens: 16 } };
const OPENAI = {
  ...PLAIN,
  prompt_tokens_details: { cached_tokens: 16, audio_tokens: 2 },
  completion_tokens_details: { reasoning_tokens: 20, audio_tokens: 3 },
};
const BOOKED = { prompt: 21, completion: 30 };

/** Vendors that are called over the internet. */
export const hostedVendors: readonly Vendor[] = [
  {
    name: 'OpenAI',
    sources: ['https://platform.openai.com/docs/api-reference/chat/object'],
    whole: { usage: OPENAI, service_tier: 'default' },
    chunks: apart(OPENAI).map((chunk) => ({ ...chunk, service_tier: 'default' })),
    booked: {
      ...BOOKED,
      cacheReadTokens: 16,
      audioPromptTokens: 2,
      reasoningTokens: 20,
      audioCompletionTokens: 3,
      serviceTier: 'default',
    },
  },
  {
    name: 'Azure',
    sources: ['https://learn.microsoft.com/azure/ai-foundry/openai/reference'],
    whole: { usage: OPENAI, prompt_filter_results: [{ prompt_index: 0 }] },
    // Its first chunk is about the prompt alone, and has an empty id.
    chunks: [{ id: '', choices: [], prompt_filter_results: [] }, ...apart(OPENAI)],
    booked: {
      ...BOOKED,
      cacheReadTokens: 16,
      audioPromptTokens: 2,
      reasoningTokens: 20,
      audioCompletionTokens: 3,
    },
  },
  {
    name: 'Anthropic',
    sources: ['https://platform.claude.com/docs/en/api/openai-sdk'],
    whole: { usage: { ...PLAIN, prompt_tokens_details: null, completion_tokens_details: null } },
    chunks: apart(PLAIN),
    booked: BOOKED,
  },
  {
    name: 'Gemini',
    sources: [
      'https://ai.google.dev/gemini-api/docs/openai',
      'https://github.com/router-for-me/CLIProxyAPI/issues/5733',
      'https://github.com/ogx-ai/ogx/issues/5122',
    ],
    // Thought tokens are in the total alone.
    whole: { usage: { prompt_tokens: 21, completion_tokens: 10, total_tokens: 81 } },
    // A running usage in every chunk.
    chunks: [
      { choices: [text], usage: { prompt_tokens: 21, completion_tokens: 2, total_tokens: 41 } },
      { choices: [end], usage: { prompt_tokens: 21, completion_tokens: 10, total_tokens: 81 } },
    ],
    booked: { prompt: 21, completion: 60 },
  },
  {
    name: 'DeepSeek',
    sources: [
      'https://api-docs.deepseek.com/api/create-chat-completion',
      'https://docs.stigg.io/documentation/ai-agents/providers/deepseek',
    ],
    whole: {
      usage: {
        ...PLAIN,
        prompt_cache_hit_tokens: 16,
        prompt_cache_miss_tokens: 5,
        completion_tokens_details: { reasoning_tokens: 20 },
      },
    },
    chunks: beside({
      ...PLAIN,
      prompt_cache_hit_tokens: 16,
      prompt_cache_miss_tokens: 5,
      completion_tokens_details: { reasoning_tokens: 20 },
    }),
    booked: { ...BOOKED, cacheReadTokens: 16, reasoningTokens: 20 },
  },
  {
    name: 'Kimi',
    sources: [
      'https://platform.kimi.ai/docs/guide/utilize-the-streaming-output-feature-of-kimi-api',
      'https://github.com/caudena/beam_weaver/releases/tag/v0.1.12',
    ],
    whole: { usage: { ...PLAIN, cached_tokens: 16 } },
    chunks: [
      { choices: [text] },
      { choices: [{ ...end, usage: { ...PLAIN, cached_tokens: 16 } }] },
    ],
    booked: { ...BOOKED, cacheReadTokens: 16 },
  },
  {
    name: 'Qwen',
    sources: [
      'https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope',
      'https://www.alibabacloud.com/help/en/model-studio/stream',
    ],
    whole: {
      usage: {
        ...PLAIN,
        prompt_tokens_details: { cached_tokens: 10, cache_creation_input_tokens: 6 },
      },
    },
    chunks: apart({
      ...PLAIN,
      prompt_tokens_details: { cached_tokens: 10, cache_creation_input_tokens: 6 },
    }),
    booked: { ...BOOKED, cacheReadTokens: 10, cacheWriteTokens: 6 },
  },
  {
    name: 'Mistral',
    sources: [
      'https://docs.mistral.ai/fr/resources/release-note/2024-01-16-token-usage-in-streaming-requests',
      'https://getlago.com/docs/guide/ai-agents/agent-sdk/mistral',
    ],
    whole: { usage: CACHED },
    chunks: beside(CACHED),
    booked: { ...BOOKED, cacheReadTokens: 16 },
  },
  {
    name: 'Groq',
    sources: [
      'https://github.com/groq/groq-typescript/blob/main/src/resources/chat/completions.ts',
      'https://docs.stigg.io/documentation/ai-agents/llm-wrappers/providers/groq',
    ],
    whole: { usage: { ...CACHED, queue_time: 0.01, total_time: 0.2 }, x_groq: { id: 'req_g' } },
    chunks: [
      { choices: [text], x_groq: { id: 'req_g' } },
      { choices: [end], x_groq: { id: 'req_g', usage: CACHED } },
    ],
    booked: { ...BOOKED, cacheReadTokens: 16 },
  },
  {
    name: 'xAI',
    sources: [
      'https://docs.x.ai/developers/advanced-api-usage/prompt-caching',
      'https://techminis.com/grok-3-api---reasoning-tokens-are-counted-differently/-383835301',
    ],
    // Reasoning lies outside of the completion, and inside the total.
    whole: {
      usage: {
        prompt_tokens: 21,
        completion_tokens: 10,
        total_tokens: 1031,
        prompt_tokens_details: { text_tokens: 21, cached_tokens: 16 },
        completion_tokens_details: { reasoning_tokens: 1000 },
        num_sources_used: 0,
      },
    },
    chunks: beside({
      prompt_tokens: 21,
      completion_tokens: 10,
      total_tokens: 1031,
      prompt_tokens_details: { text_tokens: 21, cached_tokens: 16 },
      completion_tokens_details: { reasoning_tokens: 1000 },
    }),
    booked: { prompt: 21, completion: 1010, cacheReadTokens: 16, reasoningTokens: 1000 },
  },
  {
    name: 'OpenRouter',
    sources: ['https://openrouter.ai/docs/use-cases/usage-accounting'],
    whole: {
      usage: {
        ...PLAIN,
        cost: 0.95,
        prompt_tokens_details: { cached_tokens: 10, cache_write_tokens: 6, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 20 },
      },
    },
    // Comments keep the connection alive until the first token.
    before: ': OPENROUTER PROCESSING\n\n',
    chunks: [
      { choices: [text] },
      { choices: [end] },
      {
        usage: {
          ...PLAIN,
          cost: 0.95,
          prompt_tokens_details: { cached_tokens: 10, cache_write_tokens: 6, audio_tokens: 0 },
          completion_tokens_details: { reasoning_tokens: 20 },
        },
      },
    ],
    booked: {
      ...BOOKED,
      cacheReadTokens: 10,
      cacheWriteTokens: 6,
      audioPromptTokens: 0,
      reasoningTokens: 20,
    },
  },
  {
    name: 'Together',
    sources: [
      'https://github.com/togethercomputer/together-typescript/blob/main/src/resources/chat/completions.ts',
      'https://github.com/vercel/ai/pull/17986',
      'https://github.com/mlflow/mlflow/pull/11557',
    ],
    whole: { usage: PLAIN },
    chunks: beside(PLAIN),
    booked: BOOKED,
  },
  {
    name: 'Fireworks',
    sources: [
      'https://docs.fireworks.ai/faq-new/models-inference/what-is-a-token.md',
      'https://docs.stigg.io/documentation/ai-agents/providers/fireworks.md',
    ],
    whole: { usage: CACHED },
    chunks: beside(CACHED),
    booked: { ...BOOKED, cacheReadTokens: 16 },
  },
  {
    name: 'Perplexity',
    sources: [
      'https://github.com/perplexityai/perplexity-node/blob/main/src/resources/shared.ts',
      'https://docs.perplexity.ai/getting-started/pricing',
      'https://docs.stigg.io/documentation/ai-agents/providers/perplexity',
      'https://app.unpkg.com/@ai-sdk/perplexity@3.0.19/files/src/convert-perplexity-usage.ts',
    ],
    // Deep research tells far more reasoning than completion: it lies beside it.
    whole: {
      usage: {
        prompt_tokens: 33,
        completion_tokens: 7163,
        total_tokens: 7196,
        citation_tokens: 20016,
        num_search_queries: 30,
        reasoning_tokens: 93971,
      },
    },
    chunks: [
      {
        choices: [text],
        usage: { prompt_tokens: 33, completion_tokens: 2, total_tokens: 35 },
      },
      {
        choices: [end],
        usage: {
          prompt_tokens: 33,
          completion_tokens: 7163,
          total_tokens: 7196,
          citation_tokens: 20016,
          num_search_queries: 30,
          reasoning_tokens: 93971,
        },
      },
    ],
    booked: {
      prompt: 33,
      completion: 101_134,
      reasoningTokens: 93_971,
      citationTokens: 20_016,
      searchQueries: 30,
    },
  },
  {
    name: 'Cohere',
    sources: [
      'https://docs.cohere.com/docs/compatibility-api',
      'https://strandsagents.com/docs/user-guide/concepts/model-providers/cohere/',
    ],
    whole: { usage: PLAIN },
    // It cannot be asked for usage: `upstream-faults` has its refusal.
    chunks: [{ choices: [text] }, { choices: [end] }],
    booked: BOOKED,
    bookedOfStream: { prompt: 9, completion: 2, counted: true },
  },
];
