import type { ChatMessage, ChatRequest } from './chat-request.schema.js';

/**
 * Tokens of a conversation that are no one's text: 3 a message, 1 for a name, 3 before the answer.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const TOKENS_PER_MESSAGE = 3;
const TOKENS_PER_NAME = 1;
const TOKENS_BEFORE_ANSWER = 3;

/** Everything that a model reads before it answers. */
export interface Prompt {
  /** Each is counted on its own. */
  readonly texts: readonly string[];
  /** Tokens between the texts. */
  readonly markTokens: number;
}

/** What a model reads of a request. */
export function promptOf({ messages, tools }: Pick<ChatRequest, 'messages' | 'tools'>): Prompt {
  const names = messages.flatMap(({ name }) => (name === undefined ? [] : [name]));
  return {
    texts: [
      ...messages.flatMap((message) => [message.role, textOf(message)]),
      ...names,
      // OpenAI does not tell how it writes tools into a prompt: their JSON comes close.
      ...[tools, ...messages.map((message) => message.tool_calls)].flatMap((each) =>
        each?.length ? [JSON.stringify(each)] : [],
      ),
    ],
    markTokens:
      TOKENS_PER_MESSAGE * messages.length + TOKENS_PER_NAME * names.length + TOKENS_BEFORE_ANSWER,
  };
}

/** What a message says, its parts joined; empty if it says nothing. */
export function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? part.refusal ?? '').join('');
}
