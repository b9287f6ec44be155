import type { OnApplicationBootstrap } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChatRequest } from './chat-request.schema.js';
import { textOf, Tokenizer, type Piece } from './tokenizer.js';

/** A model's answer: how much it read, and what it says. */
export interface Answer {
  readonly promptTokens: number;
  /** In order; takes `tokenMs` for each token. May be read once. */
  readonly pieces: AsyncIterable<Piece>;
  /** Why the answer ends; known from the start, since nothing is made up on the way. */
  readonly finishReason: 'stop' | 'length';
}

/**
 * A model that needs no key and no network: it repeats what the last user said. Its tokens are
 * counted as the named model would count them.
 */
export class LoopbackProvider implements OnApplicationBootstrap {
  /** @param tokenMs milliseconds that the answer takes for each token; 0 or more */
  constructor(private readonly tokenMs: number) {}

  onApplicationBootstrap(): void {
    // So that the first request does not wait for the tables; if it fails, that request tells.
    void Tokenizer.load('gpt-4o').catch(() => {});
  }

  /** Answers a request. The same request gets the same answer. */
  async answer(request: ChatRequest): Promise<Answer> {
    const tokenizer = await Tokenizer.load(request.model);
    const limit = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
    const pieces: Piece[] = [];
    let tokens = 0;
    let isCut = false;
    for (const piece of tokenizer.split(cutAtStop(echo(request), request.stop))) {
      isCut = tokens + piece.tokens > limit;
      if (isCut) break;
      tokens += piece.tokens;
      pieces.push(piece);
    }
    return {
      promptTokens: tokenizer.countPrompt(request),
      pieces: this.paced(pieces),
      finishReason: isCut ? 'length' : 'stop',
    };
  }

  private async *paced(pieces: readonly Piece[]): AsyncGenerator<Piece> {
    for (const piece of pieces) {
      if (this.tokenMs > 0) await delay(this.tokenMs * piece.tokens);
      yield piece;
    }
  }
}

function echo({ messages }: ChatRequest): string {
  const last = messages.findLast((message) => message.role === 'user') ?? messages.at(-1);
  return `You said: ${last ? textOf(last) : ''}`;
}

function cutAtStop(text: string, stop: ChatRequest['stop']): string {
  const marks = (typeof stop === 'string' ? [stop] : (stop ?? [])).filter((mark) => mark !== '');
  const ends = marks.map((mark) => text.indexOf(mark)).filter((at) => at >= 0);
  return text.slice(0, Math.min(text.length, ...ends));
}
