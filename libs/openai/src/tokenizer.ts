import { boundedRuns } from './bounded-runs.js';
import { CountingThread } from './counting-thread.js';
import { inTurns } from './in-turns.js';

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

/** Characters that are counted at once, in a few milliseconds at most. */
const SHORT_LENGTH = 1024;
/** Characters that are counted on the event loop, in turns; more go to the counting thread. */
const LONG_LENGTH = 16 * 1024;
/** Characters that go to the thread in one message. */
const BATCH_LENGTH = 64 * 1024;
/** Characters that may wait for the thread: what comes on top is estimated. */
const MAX_WAITING_LENGTH = 64 * 1024 * 1024;
/** Of English text; other languages have more tokens. */
const CHARACTERS_PER_TOKEN = 4;

/** Counts tokens as a model does. */
export class Tokenizer {
  private static characters = 0;
  private static waiting = 0;
  private static readonly loaded = new Map<string, Tokenizer>();
  private static readonly thread = new CountingThread();

  private constructor(
    private readonly name: string,
    private readonly encoding: Encoding,
  ) {}

  /** Loads the tables of all models, so that `load` no longer waits. They take 33 MB of memory. */
  static async loadAll(): Promise<void> {
    await Promise.all(['gpt-4', 'gpt-4o'].map((model) => Tokenizer.load(model)));
  }

  /**
   * The tokenizer of a model; its tables are loaded on first use, which holds the event loop for 0.1
   * to 0.3 s. Models that are not known, those of other vendors included, are counted with o200k_base.
   */
  static async load(model: string): Promise<Tokenizer> {
    const name = CL100K_MODELS.test(model) ? 'cl100k_base' : 'o200k_base';
    const loaded = Tokenizer.loaded.get(name);
    if (loaded) return loaded;
    const encoding =
      name === 'cl100k_base'
        ? await import('gpt-tokenizer/encoding/cl100k_base')
        : await import('gpt-tokenizer/encoding/o200k_base');
    encoding.setMergeCacheSize(CACHED_WORDS);
    const tokenizer = new Tokenizer(name, encoding);
    Tokenizer.loaded.set(name, tokenizer);
    return tokenizer;
  }

  /** Tokens of a text. Holds the event loop: 0.2 to 3 microseconds a character. */
  count(text: string): number {
    let tokens = 0;
    for (const part of this.partsOf(text)) tokens += this.encoding.countTokens(part, AS_TEXT);
    return tokens;
  }

  /**
   * Tokens of texts of any length: short ones at once, longer ones in turns of the event loop, those
   * above 16 KiB together in a thread of its own. While 64 MiB wait for the thread, further texts are
   * estimated, at four characters a token.
   */
  async countAll(texts: readonly string[]): Promise<number> {
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (length > LONG_LENGTH) return this.countApart(texts, length);
    let tokens = 0;
    for (const text of texts) {
      if (length <= SHORT_LENGTH) tokens += this.count(text);
      else for await (const piece of inTurns(this.encode(text))) tokens += piece.length;
    }
    return tokens;
  }

  private async countApart(texts: readonly string[], length: number): Promise<number> {
    if (Tokenizer.waiting + length > MAX_WAITING_LENGTH) {
      return Math.ceil(length / CHARACTERS_PER_TOKEN);
    }
    Tokenizer.waiting += length;
    try {
      let tokens = 0;
      for await (const batch of batchesOf(texts)) tokens += await this.countBatch(batch);
      return tokens;
    } finally {
      Tokenizer.waiting -= length;
    }
  }

  /** A thread that has died is as good as none. */
  private async countBatch(parts: readonly string[]): Promise<number> {
    return Tokenizer.thread.count(this.name, parts).catch(async () => {
      let tokens = 0;
      for await (const part of inTurns(parts)) tokens += this.encoding.countTokens(part, AS_TEXT);
      return tokens;
    });
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

/** Cuts texts where they may be cut, and puts together what goes in one message. */
async function* batchesOf(texts: readonly string[]): AsyncGenerator<string[]> {
  let batch: string[] = [];
  let length = 0;
  for (const text of texts) {
    for await (const part of inTurns(boundedRuns(text))) {
      batch.push(part);
      length += part.length;
      if (length < BATCH_LENGTH) continue;
      yield batch;
      batch = [];
      length = 0;
    }
  }
  if (batch.length > 0) yield batch;
}
