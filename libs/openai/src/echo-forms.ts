import { randomUUID } from 'node:crypto';
import type { EchoPlan } from './plan-echo.js';

/**
 * The forms of OpenAI's API for an answer of the built-in provider. All its choices have the same
 * text, so each form is assembled from texts that are made once for all of them: there may be 128,
 * and a million pieces.
 */
export class EchoForms {
  private readonly head: string;
  /** The text before each choice's content. */
  private readonly choices: readonly string[];

  /** @param tellsUsage whether a stream reports its usage */
  constructor(
    private readonly plan: EchoPlan,
    private readonly tellsUsage: boolean,
  ) {
    this.choices = Array.from({ length: plan.choices }, (_, index) => `{"index":${index},`);
    const object = plan.isStream ? 'chat.completion.chunk' : 'chat.completion';
    const head = {
      id: `chatcmpl-${randomUUID().replaceAll('-', '').slice(0, 29)}`,
      object,
      created: Math.floor(Date.now() / 1000),
      model: plan.model,
      system_fingerprint: 'fp_loopback',
    };
    this.head = JSON.stringify(head).slice(0, -1);
  }

  /** The whole answer in one body. @param tokens of one choice */
  whole(content: string, finishReason: string, tokens: number): Buffer {
    const message = { role: 'assistant', content, refusal: null };
    const choices = this.inEach({ message }, finishReason);
    return Buffer.from(`${this.head},${choices},${this.usage(tokens)}}`);
  }

  /**
   * One event of a stream, with all choices: one of each choice would take six times as long to make
   * and to read. Source: https://platform.openai.com/docs/api-reference/chat-streaming
   */
  chunk(delta: object, finishReason: string | null = null): Buffer {
    const choices = this.inEach({ delta }, finishReason);
    return Buffer.from(
      `data: ${this.head},${choices}${this.tellsUsage ? ',"usage":null' : ''}}\n\n`,
    );
  }

  /** The end of a stream: the usage, if reported, and `[DONE]`. @param tokens of one choice */
  end(tokens: number): Buffer {
    const usage = `data: ${this.head},"choices":[],${this.usage(tokens)}}\n\n`;
    return Buffer.from(`${this.tellsUsage ? usage : ''}data: [DONE]\n\n`);
  }

  private inEach(said: object, finishReason: string | null): string {
    const rest = { ...said, logprobs: null, finish_reason: finishReason };
    const end = JSON.stringify(rest).slice(1);
    return `"choices":[${this.choices.map((begin) => begin + end).join(',')}]`;
  }

  /** The prompt is charged once, and each choice. */
  private usage(tokens: number): string {
    const { promptTokens: prompt, choices } = this.plan;
    const completion = tokens * choices;
    const usage = {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
    };
    return `"usage":${JSON.stringify(usage)}`;
  }
}
