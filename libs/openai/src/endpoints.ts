import { fieldsOf, type Fields } from './fields.js';
import { promptOfChat, promptOfInput, promptOfResponse, type Prompt } from './prompt.js';

/** A call of OpenAI's protocol that uses tokens. */
export interface Endpoint {
  /** Name in entries. */
  readonly name: string;
  /** Path below the upstream's base address. */
  readonly path: string;
  /** The model's input; undefined if nothing is charged by tokens. */
  readonly promptOf: ((request: Fields) => Prompt) | undefined;
  /** Whether a stream reports its usage only on request (`stream_options.include_usage`). */
  readonly asksForUsage: boolean;
}

const NONE: Prompt = { texts: [], markTokens: 0 };

/** The metered endpoints, by name. */
export const endpoints = {
  chat: {
    name: 'chat',
    path: '/chat/completions',
    promptOf: promptOfChat,
    asksForUsage: true,
  },
  completions: {
    name: 'completions',
    path: '/completions',
    promptOf: ({ prompt }) => promptOfInput(prompt),
    asksForUsage: true,
  },
  /** Its streams always end with the whole answer, including usage. */
  responses: {
    name: 'responses',
    path: '/responses',
    promptOf: promptOfResponse,
    asksForUsage: false,
  },
  embeddings: {
    name: 'embeddings',
    path: '/embeddings',
    promptOf: ({ input }) => promptOfInput(input),
    asksForUsage: false,
  },
} as const satisfies Record<string, Endpoint>;

/** A call that is passed on unchanged, and recorded without tokens. */
export function freeEndpoint(name: string, path: string): Endpoint {
  return { name, path, promptOf: undefined, asksForUsage: false };
}

/** The model's input in a request. */
export function promptOf({ promptOf: read }: Endpoint, request: unknown): Prompt {
  return read?.(fieldsOf(request)) ?? NONE;
}

/** Types of the events that end a stream of the Responses API, which has no `[DONE]`. */
const LAST_EVENTS = new Set(['response.completed', 'response.incomplete', 'response.failed']);

/** Whether an event is the last, from its content. */
export function isLastEvent(data: string, part: Fields | undefined): boolean {
  // The same rule as in OpenAI's own clients.
  if (data.startsWith('[DONE]')) return true;
  return typeof part?.type === 'string' && LAST_EVENTS.has(part.type);
}
