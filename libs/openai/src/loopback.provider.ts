import { BadRequestException, NotFoundException } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { inTurns } from './in-turns.js';
import { openAiError } from './openai-error.js';
import { endpoints } from './endpoints.js';
import { planEcho, type EchoPlan } from './plan-echo.js';
import { Tokenizer, type Piece } from './tokenizer.js';
import { Upstream, type UpstreamAnswer, type UpstreamCall } from './upstream.js';

/** Characters that are collected before they are made into bytes: a text of millions of pieces is many times its size. */
const COLLECTED_LENGTH = 64 * 1024;

/** A model's answer, made while it is read. */
class EchoedAnswer {
  /** Known once all pieces were read. */
  finishReason: 'stop' | 'length' = 'stop';

  constructor(
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
   * @throws BadRequestException if the request is wrong, a stop has more than 128 characters, or an
   *   answer that is no stream would have more than 1,048,576 characters in all its choices
   * @throws NotFoundException for any other call
   */
  async send(call: UpstreamCall, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { path } = call;
    if (path !== endpoints.chat.path) {
      const message = `The built-in provider has no ${path}; set UPSTREAM_BASE_URL.`;
      throw new NotFoundException(openAiError(message, { code: 'not_found' }));
    }
    const { plan, fault } = await (call.largeBody?.planEcho() ?? planEcho(call.json));
    if (!plan) throw new BadRequestException(openAiError(fault.message, { param: fault.param }));
    const tokenizer = await Tokenizer.load(plan.model);
    const limits = { tokens: plan.maxTokens, tokenMs: this.tokenMs };
    const answer = new EchoedAnswer(tokenizer.split(plan.said), limits, signal);
    const { isStream } = plan;
    const type = isStream ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8';
    return {
      statusCode: 200,
      headers: { 'content-type': type, ...(isStream ? { 'cache-control': 'no-cache' } : {}) },
      body: isStream ? inChunks(plan, answer) : atOnce(plan, answer),
    };
  }
}

/** The whole answer in one body, once for each of the `n` choices asked for. */
async function* atOnce(plan: EchoPlan, answer: EchoedAnswer): AsyncGenerator<Uint8Array> {
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
  const choices = choicesOf(plan, { message }, answer.finishReason);
  const usage = usageOf(plan.promptTokens, tokens * choices.length);
  const head = headOf(plan, 'chat.completion');
  yield Buffer.from(JSON.stringify({ ...head, choices, usage }));
}

/** The answer as events: the role, the text piece by piece, why it ended, the usage, `[DONE]`. */
async function* inChunks(plan: EchoPlan, answer: EchoedAnswer): AsyncGenerator<Uint8Array> {
  const head = headOf(plan, 'chat.completion.chunk');
  const event = (chunk: object): string => `data: ${JSON.stringify({ ...head, ...chunk })}\n\n`;
  const toAll = (delta: object, finish: string | null = null): Uint8Array => {
    const choices = choicesOf(plan, { delta }, finish);
    const usage = plan.tellsUsage ? { usage: null } : {};
    return Buffer.from(choices.map((each) => event({ choices: [each], ...usage })).join(''));
  };
  let tokens = 0;
  yield toAll({ role: 'assistant', content: '', refusal: null });
  for await (const piece of answer.pieces()) {
    tokens += piece.tokens * plan.choices;
    yield toAll({ content: piece.text });
  }
  yield toAll({}, answer.finishReason);
  const usage = usageOf(plan.promptTokens, tokens);
  yield Buffer.from(`${plan.tellsUsage ? event({ choices: [], usage }) : ''}data: [DONE]\n\n`);
}

function headOf({ model }: EchoPlan, object: string): object {
  const id = `chatcmpl-${randomUUID().replaceAll('-', '').slice(0, 29)}`;
  const created = Math.floor(Date.now() / 1000);
  return { id, object, created, model, system_fingerprint: 'fp_loopback' };
}

function choicesOf({ choices }: EchoPlan, said: object, finish: string | null): object[] {
  const rest = { logprobs: null, finish_reason: finish };
  return Array.from({ length: choices }, (_, index) => ({ index, ...said, ...rest }));
}

function usageOf(prompt: number, completion: number): object {
  const total = prompt + completion;
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: total };
}
