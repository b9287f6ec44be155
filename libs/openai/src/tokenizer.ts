import { boundedRuns } from './bounded-runs.js';
import type { ChatMessage, ChatRequest } from './chat-request.schema.js';

/** Text that a client can be sent as it is, and the number of tokens in it. */
export interface Piece {
  readonly text: string;
  /** At least 1; more where a word is made of several tokens. */
  readonly tokens: number;
}

interface Encoding {
  encodeGenerator(text: string, options: { disallowedSpecial: Set<string> }): Iterable<number[]>;
  countTokens(text: string, options: { disallowedSpecial: Set<string> }): number;
  decode(tokens: number[]): string;
  clearMergeCache(): void;
}

/** `<|endoftext|>` in a user's text is text like any other. */
const AS_TEXT = { disallowedSpecial: new Set<string>() };

/**
 * Tokens of a conversation that are no one's text: 3 a message, 1 for a name, 3 before the answer.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const TOKENS_PER_MESSAGE = 3;
const TOKENS_PER_NAME = 1;
const TOKENS_BEFORE_ANSWER = 3;

/** Models that were trained on cl100k_base; everything after them uses o200k_base. */
const CL100K_MODELS = /^(gpt-3\.5|gpt-35|gpt-4($|-(0|1|3|t|v)))/;

/**
 * Characters between two clearings of the package's cache: it is bounded in words, each of which may
 * keep the whole text alive that it was cut from.
 */
const CACHED_CHARACTERS = 4_000_000;

/** Counts tokens as a model does. */
export class Tokenizer {
  private static characters = 0;
  private static readonly loaded = new Map<string, Tokenizer>();

  private constructor(private readonly encoding: Encoding) {}

  /** The tokenizer of a model; its tables are loaded on first use, which takes about 0.1 s. */
  static async load(model: string): Promise<Tokenizer> {
    const name = CL100K_MODELS.test(model) ? 'cl100k_base' : 'o200k_base';
    const loaded = Tokenizer.loaded.get(name);
    if (loaded) return loaded;
    const encoding =
      name === 'cl100k_base'
        ? await import('gpt-tokenizer/encoding/cl100k_base')
        : await import('gpt-tokenizer/encoding/o200k_base');
    const tokenizer = new Tokenizer(encoding);
    Tokenizer.loaded.set(name, tokenizer);
    return tokenizer;
  }

  /** Tokens of everything that a model reads before it answers. */
  countPrompt(request: Pick<ChatRequest, 'messages' | 'tools'>): number {
    const messages = request.messages.map((message) => this.countMessage(message));
    // OpenAI does not tell how it writes tools into a prompt: their JSON comes close.
    const tools = request.tools?.length ? this.count(JSON.stringify(request.tools)) : 0;
    return messages.reduce((sum, tokens) => sum + tokens, TOKENS_BEFORE_ANSWER + tools);
  }

  /**
   * Cuts a text where the model's own rule cuts it before it looks for tokens (mostly at words), in
   * order; empty for the empty text. Single tokens are not decoded: they may be half a character,
   * and the package then keeps the other half in a decoder that all its callers share.
   */
  *split(text: string): Generator<Piece> {
    for (const part of this.partsOf(text)) {
      for (const tokens of this.encoding.encodeGenerator(part, AS_TEXT)) {
        yield { text: this.encoding.decode(tokens), tokens: tokens.length };
      }
    }
  }

  private countMessage(message: ChatMessage): number {
    const name = message.name === undefined ? 0 : this.count(message.name) + TOKENS_PER_NAME;
    const calls = message.tool_calls?.length ? this.count(JSON.stringify(message.tool_calls)) : 0;
    const content = this.count(textOf(message));
    return TOKENS_PER_MESSAGE + this.count(message.role) + content + name + calls;
  }

  /** Tokens of a text alone. */
  count(text: string): number {
    let tokens = 0;
    for (const part of this.partsOf(text)) tokens += this.encoding.countTokens(part, AS_TEXT);
    return tokens;
  }

  private partsOf(text: string): Iterable<string> {
    Tokenizer.characters += text.length;
    if (Tokenizer.characters > CACHED_CHARACTERS) {
      Tokenizer.characters = text.length;
      this.encoding.clearMergeCache();
    }
    return boundedRuns(text);
  }
}

/** What a message says, its parts joined; empty if it says nothing. */
export function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? part.refusal ?? '').join('');
}
