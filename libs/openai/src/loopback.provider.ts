import { BadRequestException, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { inTurns } from './in-turns.js';
import { openAiError } from './openai-error.js';
import { textIn } from './answer-texts.js';
import { endpoints } from './endpoints.js';
import { loopbackRequest, type LoopbackRequest } from './loopback-request.schema.js';
import { openAiValidationPipe } from './openai-validation.pipe.js';
import { promptOfChat } from './prompt.js';
import { Tokenizer, type Piece } from './tokenizer.js';
import { Upstream, type UpstreamAnswer, type UpstreamCall } from './upstream.js';

/**
 * Characters of a stop. V8 looks for up to 250 of them in time that grows with the text, and for
 * more in time that grows with text times stop: hours for a body of 16 MB.
 * Source: `kBMMaxShift` in https://github.com/v8/v8/blob/main/src/strings/string-search.h
 */
const LONGEST_STOP = 128;

const CHECK = { type: 'body', schema: loopbackRequest } as const;

/** A model's answer: how much it read, and what it says. */
interface Answer {
  readonly promptTokens: number;
  /** In order; may be read once. */
  readonly pieces: AsyncIterable<Piece>;
  /** Why the answer ends; known from the start, since nothing is made up on the way. */
  readonly finishReason: 'stop' | 'length';
}

/**
 * An upstream that needs no key and no network: it repeats what the last user said, in the form of
 * OpenAI's API. Its tokens are counted as the named model would count them.
 */
export class LoopbackProvider extends Upstream {
  /** @param tokenMs milliseconds that the answer takes for each token; 0 or more */
  constructor(private readonly tokenMs: number) {
    super();
  }

  /**
   * Answers chat completions. The same request gets the same answer.
   *
   * @throws BadRequestException if the request is wrong, or a stop has more than 128 characters
   * @throws NotFoundException for any other call
   */
  async send({ path, json }: UpstreamCall, signal: AbortSignal): Promise<UpstreamAnswer> {
    if (path !== endpoints.chat.path) {
      const message = `The built-in provider has no ${path}; set UPSTREAM_BASE_URL.`;
      throw new NotFoundException(openAiError(message, { code: 'not_found' }));
    }
    const request = await this.check(json);
    const answer = await this.answer(request, signal);
    const isStream = request.stream === true;
    const type = isStream ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8';
    return {
      statusCode: 200,
      headers: { 'content-type': type, ...(isStream ? { 'cache-control': 'no-cache' } : {}) },
      body: isStream ? inChunks(request, answer) : atOnce(request, answer),
    };
  }

  private async check(json: unknown): Promise<LoopbackRequest> {
    const checked: unknown = await openAiValidationPipe.transform(json, CHECK);
    return checked as LoopbackRequest;
  }

  private async answer(request: LoopbackRequest, signal: AbortSignal): Promise<Answer> {
    const tokenizer = await Tokenizer.load(request.model);
    const limit = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
    const pieces: Piece[] = [];
    let tokens = 0;
    let isCut = false;
    for await (const piece of inTurns(tokenizer.split(cutAtStop(echo(request), request.stop)))) {
      isCut = tokens + piece.tokens > limit;
      if (isCut) break;
      tokens += piece.tokens;
      pieces.push(piece);
    }
    const { texts, markTokens } = promptOfChat(request);
    return {
      promptTokens: markTokens + (await tokenizer.countAll(texts)),
      pieces: this.paced(pieces, signal),
      finishReason: isCut ? 'length' : 'stop',
    };
  }

  private async *paced(pieces: readonly Piece[], signal: AbortSignal): AsyncGenerator<Piece> {
    // In turns: a client that reads as fast as this makes them would never let the event loop go.
    for await (const piece of inTurns(pieces)) {
      if (this.tokenMs > 0) await delay(this.tokenMs * piece.tokens, undefined, { signal });
      yield piece;
    }
  }
}

function echo({ messages }: LoopbackRequest): string {
  const last = messages.findLast((message) => message.role === 'user') ?? messages.at(-1);
  return `You said: ${last ? textIn(last.content) : ''}`;
}

function cutAtStop(text: string, stop: LoopbackRequest['stop']): string {
  const marks = (typeof stop === 'string' ? [stop] : (stop ?? [])).filter((mark) => mark !== '');
  if (marks.some((mark) => mark.length > LONGEST_STOP)) {
    const rule = `stop: at most ${LONGEST_STOP} characters`;
    throw new BadRequestException(openAiError(rule, { param: 'stop' }));
  }
  const ends = marks.map((mark) => text.indexOf(mark)).filter((at) => at >= 0);
  return text.slice(0, Math.min(text.length, ...ends));
}

/** The whole answer in one body, once for each of the `n` choices asked for. */
async function* atOnce(request: LoopbackRequest, answer: Answer): AsyncGenerator<Uint8Array> {
  let content = '';
  let tokens = 0;
  for await (const piece of answer.pieces) {
    content += piece.text;
    tokens += piece.tokens;
  }
  const message = { role: 'assistant', content, refusal: null };
  const choices = choicesOf(request, { message }, answer.finishReason);
  const usage = usageOf(answer.promptTokens, tokens * choices.length);
  const head = headOf(request, 'chat.completion');
  yield Buffer.from(JSON.stringify({ ...head, choices, usage }));
}

/** The answer as events: the role, the text piece by piece, why it ended, the usage, `[DONE]`. */
async function* inChunks(request: LoopbackRequest, answer: Answer): AsyncGenerator<Uint8Array> {
  const head = headOf(request, 'chat.completion.chunk');
  const withUsage = request.stream_options?.include_usage === true;
  const event = (chunk: object): string => `data: ${JSON.stringify({ ...head, ...chunk })}\n\n`;
  const toAll = (delta: object, finish: string | null = null): Uint8Array => {
    const choices = choicesOf(request, { delta }, finish);
    const usage = withUsage ? { usage: null } : {};
    return Buffer.from(choices.map((each) => event({ choices: [each], ...usage })).join(''));
  };
  let tokens = 0;
  yield toAll({ role: 'assistant', content: '', refusal: null });
  for await (const piece of answer.pieces) {
    tokens += piece.tokens * (request.n ?? 1);
    yield toAll({ content: piece.text });
  }
  yield toAll({}, answer.finishReason);
  const usage = usageOf(answer.promptTokens, tokens);
  yield Buffer.from(`${withUsage ? event({ choices: [], usage }) : ''}data: [DONE]\n\n`);
}

function headOf({ model }: LoopbackRequest, object: string): object {
  const id = `chatcmpl-${randomUUID().replaceAll('-', '').slice(0, 29)}`;
  const created = Math.floor(Date.now() / 1000);
  return { id, object, created, model, system_fingerprint: 'fp_loopback' };
}

function choicesOf({ n }: LoopbackRequest, said: object, finish: string | null): object[] {
  const rest = { logprobs: null, finish_reason: finish };
  return Array.from({ length: n ?? 1 }, (_, index) => ({ index, ...said, ...rest }));
}

function usageOf(prompt: number, completion: number): object {
  const total = prompt + completion;
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total };
}
