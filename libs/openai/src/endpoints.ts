import { fieldsOf, type Fields } from './fields.js';
import { promptOfChat, promptOfInput, promptOfResponse, type Prompt } from './prompt.js';

/** A call of OpenAI's protocol that uses tokens. */
export interface Endpoint {
  /** As entries have it. */
  readonly name: string;
  /** Below the upstream's base address. */
  readonly path: string;
  /** What the model reads; undefined where nothing is charged by tokens. */
  readonly promptOf: ((request: Fields) => Prompt) | undefined;
  /** Whether a stream tells its usage only if `stream_options.include_usage` asks for it. */
  readonly asksForUsage: boolean;
}

const NONE: Prompt = { texts: [], markTokens: 0 };

/** The endpoints that are metered, by name. */
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
  /** Its streams always end with the whole answer, usage included. */
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

/** A call that is passed on as it is, and booked without tokens. */
export function freeEndpoint(name: string, path: string): Endpoint {
  return { name, path, promptOf: undefined, asksForUsage: false };
}

/** What a model reads of a request. */
export function promptOf({ promptOf: read }: Endpoint, request: unknown): Prompt {
  return read?.(fieldsOf(request)) ?? NONE;
}

/** Types of the events that end a stream of the Responses API, which has no `[DONE]`. */
const LAST_EVENTS = new Set(['response.completed', 'response.incomplete', 'response.failed']);

/** Whether nothing follows an event, by what it carries. */
export function isLastEvent(data: string, part: Fields | undefined): boolean {
  // As OpenAI's own clients decide it.
  if (data.startsWith('[DONE]')) return true;
  return typeof part?.type === 'string' && LAST_EVENTS.has(part.type);
}
