import { randomBytes } from 'node:crypto';

/** Token counts as OpenAI's API writes them. */
export interface CompletionUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** What all parts of one answer share. */
export interface CompletionHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
}

/** A whole answer. */
export interface Completion extends CompletionHead {
  readonly object: 'chat.completion';
  readonly choices: readonly {
    readonly index: number;
    readonly message: {
      readonly role: 'assistant';
      readonly content: string;
      readonly refusal: null;
    };
    readonly logprobs: null;
    readonly finish_reason: string;
  }[];
  readonly usage: CompletionUsage;
}

/** A part of an answer that is streamed. */
export interface CompletionChunk extends CompletionHead {
  readonly object: 'chat.completion.chunk';
  /** Empty in the chunk that carries the usage. */
  readonly choices: readonly {
    readonly index: number;
    readonly delta: { role?: 'assistant'; content?: string; refusal?: null };
    readonly logprobs: null;
    readonly finish_reason: string | null;
  }[];
  /** Only if the request asked for it: null in all chunks but the last. */
  readonly usage?: CompletionUsage | null;
}

/** Begins an answer of a model: a new id, now. */
export function beginCompletion(model: string): CompletionHead {
  return {
    id: `chatcmpl-${randomBytes(15).toString('hex').slice(0, 29)}`,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: 'fp_loopback',
  };
}

/** Token counts with their sum. */
export function completionUsage(promptTokens: number, completionTokens: number): CompletionUsage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
