import { textIn } from './answer-texts.js';
import { fieldsOf, listOf, type Fields } from './fields.js';

/**
 * Tokens of a conversation that belong to no text: 3 a message, 1 for a name, 3 before the answer.
 * Source: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const TOKENS_PER_MESSAGE = 3;
const TOKENS_PER_NAME = 1;
const TOKENS_BEFORE_ANSWER = 3;

/** The whole input of a model. */
export interface Prompt {
  /** Each is counted separately. */
  readonly texts: readonly string[];
  /** Tokens between the texts, and tokens given as numbers. */
  readonly markTokens: number;
}

/** The model's input in a chat. Never throws: only the upstream judges messages. */
export function promptOfChat(request: Fields): Prompt {
  const messages = listOf(request.messages).map(fieldsOf);
  const names = messages.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  return {
    texts: [
      ...messages.flatMap((message) => [textIn(message.role), textIn(message.content)]),
      ...names,
      // OpenAI does not publish how it writes tools into a prompt; their JSON is close.
      ...[
        request.tools,
        request.functions,
        ...messages.map((message) => message.tool_calls),
      ].flatMap(jsonOf),
    ],
    markTokens:
      TOKENS_PER_MESSAGE * messages.length + TOKENS_PER_NAME * names.length + TOKENS_BEFORE_ANSWER,
  };
}

/** The model's input in a request to the Responses API. */
export function promptOfResponse(request: Fields): Prompt {
  const items = typeof request.input === 'string' ? [request.input] : listOf(request.input);
  return {
    texts: [
      textIn(request.instructions),
      ...items.flatMap((item) => {
        const { role, name, arguments: given } = fieldsOf(item);
        return [textIn(role), textIn(name), textIn(given), textIn(item)];
      }),
      ...jsonOf(request.tools),
    ],
    markTokens: TOKENS_PER_MESSAGE * items.length + TOKENS_BEFORE_ANSWER,
  };
}

/** Texts, and tokens as numbers: an `input` of embeddings, a `prompt` of completions. */
export function promptOfInput(input: unknown): Prompt {
  if (typeof input === 'string') return { texts: [input], markTokens: 0 };
  const texts: string[] = [];
  let markTokens = 0;
  for (const item of listOf(input)) {
    if (typeof item === 'number') markTokens += 1;
    else if (Array.isArray(item)) markTokens += item.length;
    else texts.push(textIn(item));
  }
  return { texts, markTokens };
}

function jsonOf(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0) return [];
  try {
    return [JSON.stringify(value)];
  } catch {
    // Nested so deeply that it cannot be serialised, and no server can read it.
    return [];
  }
}
