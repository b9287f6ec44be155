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

/** Characters of an answer in one body, of all choices together; a stream may have any number. */
const MAX_BODY_LENGTH = 16 * 1024 * 1024;
/** Characters that are collected before they are made into bytes: a text of millions of pieces is many times its size. */
const COLLECTED_LENGTH = 64 * 1024;

/** A model's answer, made while it is read. */
class EchoedAnswer {
  /** Known once all pieces were read. */
  finishReason: 'stop' | 'length' = 'stop';

  constructor(
    readonly promptTokens: number,
    private readonly said: Iterable<Piece>,
    private readonly limits: { readonly tokens: number; readonly tokenMs: number },
    private readonly signal: AbortSignal,
  ) {}

  /** In order; may be read once. */
  async *pieces(): AsyncGenerator<Piece> {
    const { tokens: limit, tokenMs } = this.limits;
    let tokens = 0;
    // In turns: a client that reads as fast as this makes them would never let the event loop go.
    for await (const piece of inTurns(this.said)) {
      tokens += piece.tokens;
      if (tokens > limit) {
        this.finishReason = 'length';
        return;
      }
      if (tokenMs > 0) {
        await delay(tokenMs * piece.tokens, undefined, { signal: this.signal });
      }
      yield piece;
    }
  }
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

  private async answer(request: LoopbackRequest, signal: AbortSignal): Promise<EchoedAnswer> {
    const tokenizer = await Tokenizer.load(request.model);
    const said = cutAtStop(echo(request), request.stop);
    if (request.stream !== true && said.length * (request.n ?? 1) > MAX_BODY_LENGTH) {
      const rule = `the answer would have more than ${MAX_BODY_LENGTH} characters; ask for a stream`;
      throw new BadRequestException(openAiError(rule, { param: 'n' }));
    }
    const { texts, markTokens } = promptOfChat(request);
    const promptTokens = markTokens + (await tokenizer.countAll(texts));
    const tokens = request.max_completion_tokens ?? request.max_tokens ?? Infinity;
    const limits = { tokens, tokenMs: this.tokenMs };
    return new EchoedAnswer(promptTokens, tokenizer.split(said), limits, signal);
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
async function* atOnce(request: LoopbackRequest, answer: EchoedAnswer): AsyncGenerator<Uint8Array> {
  const parts: Buffer[] = [];
  let text = '';
  let tokens = 0;
  for await (const piece of answer.pieces()) {
    text += piece.text;
    tokens += piece.tokens;
    if (text.length < COLLECTED_LENGTH) continue;
    parts.push(Buffer.from(text, 'utf16le'));
    text = '';
  }
  const content = Buffer.concat([...parts, Buffer.from(text, 'utf16le')]).toString('utf16le');
  const message = { role: 'assistant', content, refusal: null };
  const choices = choicesOf(request, { message }, answer.finishReason);
  const usage = usageOf(answer.promptTokens, tokens * choices.length);
  const head = headOf(request, 'chat.completion');
  yield Buffer.from(JSON.stringify({ ...head, choices, usage }));
}

/** The answer as events: the role, the text piece by piece, why it ended, the usage, `[DONE]`. */
async function* inChunks(
  request: LoopbackRequest,
  answer: EchoedAnswer,
): AsyncGenerator<Uint8Array> {
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
  for await (const piece of answer.pieces()) {
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
