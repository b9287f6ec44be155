import type { Vendor } from './vendor.js';

const text = { index: 0, delta: { role: 'assistant', content: 'Hello there' } };
const end = { index: 0, delta: {}, finish_reason: 'stop' };
const PLAIN = { prompt_tokens: 21, completion_tokens: 30, total_tokens: 51 };
const ZEROS = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
const BOOKED = { prompt: 21, completion: 30 };
const apart = (usage: object) => [{ choices: [text] }, { choices: [end] }, { choices: [], usage }];

/** Servers that people run themselves. */
export const selfHostedServers: readonly Vendor[] = [
  {
    name: 'vLLM',
    sources: [
      'https://github.com/vllm-project/vllm/pull/5742',
      'https://github.com/vllm-project/vllm/issues/7262',
    ],
    whole: { usage: { ...PLAIN, prompt_tokens_details: null } },
    // With continuous_usage_stats, and in 0.5.4 always: a running usage in each chunk.
    chunks: [
      {
        choices: [{ index: 0, delta: { role: 'assistant' } }],
        usage: { prompt_tokens: 21, completion_tokens: 0, total_tokens: 21 },
      },
      { choices: [text], usage: { prompt_tokens: 21, completion_tokens: 2, total_tokens: 23 } },
      { choices: [end], usage: PLAIN },
      { choices: [], usage: PLAIN },
    ],
    booked: BOOKED,
  },
  {
    name: 'SGLang',
    sources: [
      'https://github.com/sgl-project/sglang/pull/15562',
      'https://github.com/sgl-project/sglang/issues/3743',
    ],
    whole: { usage: { ...PLAIN, prompt_tokens_details: null, reasoning_tokens: 20 } },
    // Zeros, and an empty message beside the delta.
    chunks: [
      { choices: [{ ...text, message: { role: '', content: '' } }], usage: null },
      { choices: [{ ...end, message: { role: '', content: '' } }], usage: ZEROS },
      { choices: [], usage: { ...PLAIN, reasoning_tokens: 20 } },
    ],
    booked: { ...BOOKED, reasoningTokens: 20 },
  },
  {
    name: 'llama.cpp',
    sources: [
      'https://github.com/ggml-org/llama.cpp/pull/15444',
      'https://github.com/ggml-org/llama.cpp/issues/16048',
    ],
    whole: { usage: PLAIN, timings: { prompt_n: 5, predicted_n: 30, cache_n: 16 } },
    chunks: [
      { choices: [text] },
      { choices: [end] },
      { choices: [], usage: PLAIN, timings: { prompt_n: 5, predicted_n: 30, cache_n: 16 } },
    ],
    booked: BOOKED,
  },
  {
    name: 'Ollama',
    sources: ['https://github.com/ollama/ollama/issues/4448'],
    whole: { usage: PLAIN },
    chunks: apart(PLAIN),
    booked: BOOKED,
  },
  {
    name: 'LM Studio',
    sources: [
      'https://github.com/lmstudio-ai/docs/blob/main/1_developer/2_rest/endpoints.md',
      'https://github.com/lmstudio-ai/lmstudio-js/issues/320',
      'https://github.com/zed-industries/zed/pull/57861',
      // Zeros for embeddings: endpoints.e2e-spec.ts.
      'https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1546',
    ],
    whole: { usage: PLAIN },
    chunks: apart(PLAIN),
    booked: BOOKED,
  },
  {
    name: 'TGI',
    sources: [
      'https://github.com/huggingface/text-generation-inference/issues/2531',
      'https://github.com/huggingface/text-generation-inference/pull/3003',
    ],
    whole: { usage: PLAIN },
    chunks: apart(PLAIN),
    booked: BOOKED,
  },
  {
    name: 'LocalAI',
    sources: [
      'https://github.com/mudler/LocalAI/pull/4282',
      'https://github.com/mudler/LocalAI/issues/9927',
    ],
    whole: { usage: PLAIN },
    // With tools, version 4.2.6 reports zeros: counted.
    chunks: [
      { choices: [text], usage: ZEROS },
      { choices: [end], usage: ZEROS },
    ],
    booked: BOOKED,
    bookedOfStream: { prompt: 9, completion: 2, counted: true },
  },
];
