import { boundedRuns } from './bounded-runs.js';
import type { ChatRequest } from './chat-request.schema.js';
import { inTurns } from './in-turns.js';
import { promptOf } from './prompt.js';

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
  setMergeCacheSize(words: number): void;
}

/** `<|endoftext|>` in a user's text is text like any other. */
const AS_TEXT = { disallowedSpecial: new Set<string>() };

/** Models that were trained on cl100k_base; everything after them uses o200k_base. */
const CL100K_MODELS = /^(gpt-3\.5|gpt-35|gpt-4($|-(0|1|3|t|v)))/;

/**
 * Words in the package's cache. Measured: its own 100,000 are no faster, and once they are full each
 * new word takes five times as long, since a Map's first key is looked for behind all deleted ones.
 */
const CACHED_WORDS = 1_000;
/**
 * Characters between two clearings of the cache: each of its words may keep the whole text alive
 * that it was cut from.
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
    encoding.setMergeCacheSize(CACHED_WORDS);
    const tokenizer = new Tokenizer(encoding);
    Tokenizer.loaded.set(name, tokenizer);
    return tokenizer;
  }

  /** Tokens of a text. Holds the event loop: 0.2 to 3 microseconds a character. */
  count(text: string): number {
    let tokens = 0;
    for (const part of this.partsOf(text)) tokens += this.encoding.countTokens(part, AS_TEXT);
    return tokens;
  }

  /** Tokens of texts of any length; the event loop does other work in between. */
  async countInTurns(texts: readonly string[]): Promise<number> {
    let tokens = 0;
    for (const text of texts) {
      for await (const piece of inTurns(this.encode(text))) tokens += piece.length;
    }
    return tokens;
  }

  /** Tokens of everything that a model reads before it answers. */
  async countPrompt(request: Pick<ChatRequest, 'messages' | 'tools'>): Promise<number> {
    const { texts, markTokens } = promptOf(request);
    return markTokens + (await this.countInTurns(texts));
  }

  /**
   * Cuts a text where the model's own rule cuts it before it looks for tokens (mostly at words), in
   * order; empty for the empty text. Single tokens are not decoded: they may be half a character,
   * and the package then keeps the other half in a decoder that all its callers share.
   */
  *split(text: string): Generator<Piece> {
    for (const tokens of this.encode(text)) {
      yield { text: this.encoding.decode(tokens), tokens: tokens.length };
    }
  }

  private *encode(text: string): Generator<number[]> {
    for (const part of this.partsOf(text)) yield* this.encoding.encodeGenerator(part, AS_TEXT);
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
