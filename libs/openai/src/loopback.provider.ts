import { BadRequestException, NotFoundException } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { EchoForms } from './echo-forms.js';
import { endpoints } from './endpoints.js';
import { fieldsOf } from './fields.js';
import { inTurns, isTimeLeft, nextTurn } from './in-turns.js';
import { openAiError } from './openai-error.js';
import { planEcho } from './plan-echo.js';
import { Tokenizer, type Piece } from './tokenizer.js';
import { Upstream, type UpstreamAnswer, type UpstreamCall } from './upstream.js';

/**
 * Characters collected before they are converted to bytes: a text of millions of pieces takes many
 * times its size.
 */
const COLLECTED_LENGTH = 64 * 1024;

/** Limits of an answer. */
interface EchoPace {
  /** Maximum tokens of an answer; may be infinite. */
  readonly maxTokens: number;
  readonly tokenMs: number;
  /** Nothing more is made once this is false. */
  readonly hasReader: () => boolean;
  readonly signal: AbortSignal;
}

/** A model's answer, made while it is read. */
class EchoedAnswer {
  /** Known once all pieces were read. */
  finishReason: 'stop' | 'length' = 'stop';
  /** Tokens of the pieces read so far. */
  tokens = 0;

  constructor(
    private readonly said: Iterable<Piece>,
    private readonly pace: EchoPace,
  ) {}

  /** In order; may be read once. */
  async *pieces(): AsyncGenerator<Piece> {
    const { maxTokens, tokenMs, hasReader, signal } = this.pace;
    // In turns: a client that reads as fast as this makes them would block the event loop.
    for await (const piece of inTurns(this.said)) {
      if (!hasReader()) return;
      if (this.tokens + piece.tokens > maxTokens) {
        this.finishReason = 'length';
        return;
      }
      if (tokenMs > 0) await delay(tokenMs * piece.tokens, undefined, { signal });
      this.tokens += piece.tokens;
      yield piece;
    }
  }
}

/**
 * An upstream that needs no key and no network: it repeats the last user's message, in the form of
 * OpenAI's API. Its tokens are counted for the named model. It stops once its reader has left, and
 * reports the tokens made by then.
 */
export class LoopbackProvider extends Upstream {
  /** @param tokenMs milliseconds that the answer takes for each token; 0 or more */
  constructor(private readonly tokenMs: number) {
    super();
  }

  /**
   * Answers chat completions. The same request gets the same answer.
   *
   * @throws BadRequestException if the request is wrong, a stop has more than 128 characters, or an
   *   answer that is no stream would have more than 1,048,576 characters in all its choices
   * @throws NotFoundException for any other call
   */
  async send(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { path, hasReader } = call;
    if (path !== endpoints.chat.path) {
      const message = `The built-in provider has no ${path}; set UPSTREAM_BASE_URL.`;
      throw new NotFoundException(openAiError(message, { code: 'not_found' }));
    }
    const { plan, fault } = await (call.largeBody?.planEcho() ?? planEcho(call.json));
    if (!plan) throw new BadRequestException(openAiError(fault.message, { param: fault.param }));
    const tokenizer = await Tokenizer.load(plan.model);
    const { maxTokens, isStream } = plan;
    const pace = { maxTokens, tokenMs: this.tokenMs, hasReader, signal };
    const answer = new EchoedAnswer(tokenizer.split(plan.said), pace);
    const forms = new EchoForms(plan, asksForUsage(call));
    const type = isStream ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8';
    return {
      statusCode: 200,
      headers: { 'content-type': type, ...(isStream ? { 'cache-control': 'no-cache' } : {}) },
      body: isStream ? inChunks(forms, answer) : atOnce(forms, answer),
    };
  }
}

/**
 * From the call and not from its body, because the gateway requests usage if the client does not.
 */
function asksForUsage({ json }: UpstreamCall): boolean {
  return fieldsOf(fieldsOf(json).stream_options).include_usage === true;
}

/** The whole answer in one body. */
async function* atOnce(forms: EchoForms, answer: EchoedAnswer): AsyncGenerator<Uint8Array> {
  const parts: Buffer[] = [];
  let text = '';
  for await (const piece of answer.pieces()) {
    text += piece.text;
    if (text.length < COLLECTED_LENGTH) continue;
    parts.push(Buffer.from(text, 'utf16le'));
    text = '';
  }
  const content = Buffer.concat([...parts, Buffer.from(text, 'utf16le')]).toString('utf16le');
  yield forms.whole(content, answer.finishReason, answer.tokens);
}

/**
 * The answer as events: the role, the text in pieces, the reason of its end, the usage, `[DONE]`.
 */
async function* inChunks(forms: EchoForms, answer: EchoedAnswer): AsyncGenerator<Uint8Array> {
  yield forms.chunk({ role: 'assistant', content: '', refusal: null });
  for await (const { text } of answer.pieces()) {
    // 128 choices of a piece take longer than the piece.
    while (!isTimeLeft()) await nextTurn();
    yield forms.chunk({ content: text });
  }
  yield forms.chunk({}, answer.finishReason);
  yield forms.end(answer.tokens);
}
