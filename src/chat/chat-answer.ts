import type { ChatRequest } from './chat-request.schema.js';
import {
  beginCompletion,
  completionUsage,
  type Completion,
  type CompletionChunk,
} from './completion.js';
import type { Answer } from './loopback.provider.js';

/** Where an answer writes its token counts while it is made. */
export interface Metering {
  promptTokens?: number | null;
  completionTokens?: number | null;
}

type Delta = CompletionChunk['choices'][number]['delta'];

/** Gives the whole answer in one body, once for each of the `n` choices asked for. */
export async function answerAtOnce(
  request: ChatRequest,
  answer: Answer,
  metering: Metering,
): Promise<Completion> {
  const choices = request.n ?? 1;
  let content = '';
  let tokens = 0;
  metering.promptTokens = answer.promptTokens;
  for await (const piece of answer.pieces) {
    content += piece.text;
    tokens += piece.tokens * choices;
    metering.completionTokens = tokens;
  }
  return {
    ...beginCompletion(request.model),
    object: 'chat.completion',
    choices: Array.from({ length: choices }, (_, index) => ({
      index,
      message: { role: 'assistant', content, refusal: null },
      logprobs: null,
      finish_reason: answer.finishReason,
    })),
    usage: completionUsage(answer.promptTokens, tokens),
  };
}

/**
 * Gives the answer as server-sent events: the role, the text piece by piece, why it ended, the
 * usage if it was asked for, and `[DONE]`.
 */
export async function* answerInChunks(
  request: ChatRequest,
  answer: Answer,
  metering: Metering,
): AsyncGenerator<string> {
  const head = beginCompletion(request.model);
  const choices = request.n ?? 1;
  const noUsage = request.stream_options?.include_usage ? { usage: null } : {};
  const toAll = (delta: Delta, finish: string | null = null): string =>
    Array.from({ length: choices }, (_, index) =>
      serverSentEvent({
        ...head,
        object: 'chat.completion.chunk',
        choices: [{ index, delta, logprobs: null, finish_reason: finish }],
        ...noUsage,
      }),
    ).join('');
  let tokens = 0;
  metering.promptTokens = answer.promptTokens;
  yield toAll({ role: 'assistant', content: '', refusal: null });
  for await (const piece of answer.pieces) {
    tokens += piece.tokens * choices;
    metering.completionTokens = tokens;
    yield toAll({ content: piece.text });
  }
  yield toAll({}, answer.finishReason);
  if (request.stream_options?.include_usage) {
    const usage = completionUsage(answer.promptTokens, tokens);
    yield serverSentEvent({ ...head, object: 'chat.completion.chunk', choices: [], usage });
  }
  yield 'data: [DONE]\n\n';
}

function serverSentEvent(chunk: CompletionChunk): string {
  return `data: ${JSON.stringify(chunk)}\n\n`;
}
