import type { UsageEnd, UsageEntry } from 'nestjs-ledger';
import type { usage } from '../usage.ledger.js';
import type { Caller } from './caller.js';
import type { ChatRequest } from './chat-request.schema.js';
import { costNanos } from './price-list.js';
import type { Tokenizer } from './tokenizer.js';

interface TokenUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** What a choice says, whole (`message`) or in part (`delta`). */
interface Said {
  readonly content?: unknown;
  readonly refusal?: unknown;
  readonly reasoning_content?: unknown;
  readonly function_call?: { name?: unknown; arguments?: unknown };
  readonly tool_calls?: readonly { function?: { name?: unknown; arguments?: unknown } }[];
}

/** An answer or a chunk of one. It comes from outside: nothing in it is sure. */
export interface AnswerPart {
  usage?: unknown;
  readonly choices?: readonly { message?: Said; delta?: Said }[];
  readonly error?: { code?: unknown; type?: unknown } | null;
}

const MAX_TOKENS = 2_147_483_647;
const MAX_ERROR_LENGTH = 64;
/** Nobody sees it but the ledger; nginx has it for a client that left before there was an answer. */
const CLIENT_LEFT = 499;

/** What one call used: the upstream's own figures, or, until there are any, a count of the texts. */
export class CallMeter {
  private told: TokenUsage | undefined;
  private counted = 0;
  private status = 0;
  private error: string | undefined;

  constructor(
    private readonly caller: Caller,
    private readonly request: ChatRequest,
    private readonly tokenizer: Tokenizer,
  ) {}

  /** The upstream has begun to answer: from here on it has read the prompt, unless it refused. */
  answered(status: number): void {
    this.status = status;
  }

  /** What went wrong; the first of several is kept. `status`: what the client is answered instead. */
  failed(error: string, status = this.status): void {
    this.error ??= error;
    this.status = status;
  }

  /** Takes note of a part that is about to be sent. Never throws, whatever the part is. */
  saw(part: AnswerPart): void {
    const { usage: told, error } = part;
    if (isTokenUsage(told)) this.told = told;
    const named = [error?.code, error?.type, 'error'].find((name) => typeof name === 'string');
    if (error && named) this.failed(named.slice(0, MAX_ERROR_LENGTH));
    try {
      for (const { message, delta } of part.choices ?? []) this.count(message ?? delta ?? {});
    } catch {
      this.failed('unreadable_answer');
    }
  }

  /**
   * The entry of the call, however it ended. A client that hangs up pays for the prompt and what it
   * was sent. `attributes.counted`: by this gateway's tokenizer, since the upstream did not tell.
   */
  entry(end: UsageEnd): UsageEntry<typeof usage> {
    const { request } = this;
    const hasLeft = end === 'aborted' && this.status === 0;
    const status = hasLeft ? CLIENT_LEFT : this.status;
    const error = hasLeft ? 'client_left' : this.error;
    const isRead = status >= 200 && status < 300;
    const isCounted = this.told === undefined && isRead;
    const promptTokens =
      this.told?.prompt_tokens ?? (isCounted ? this.tokenizer.countPrompt(request) : 0);
    const completionTokens = this.told?.completion_tokens ?? this.counted;
    const attributes = {
      ...(isCounted ? { counted: true } : {}),
      ...(isRead ? {} : { status }),
      ...(error === undefined ? {} : { error }),
    };
    return {
      ...this.caller,
      model: request.model,
      promptTokens,
      completionTokens,
      costNanos: costNanos(request.model, promptTokens, completionTokens),
      memo: end === 'completed' ? null : end,
      attributes: Object.keys(attributes).length > 0 ? attributes : null,
    };
  }

  private count({ tool_calls: tools, function_call: call, ...said }: Said): void {
    const calls = [...(tools ?? []).map((tool) => tool.function), call];
    const texts = [said.content, said.refusal, said.reasoning_content].concat(
      calls.flatMap((each) => [each?.name, each?.arguments]),
    );
    for (const text of texts) {
      if (typeof text === 'string' && text !== '') this.counted += this.tokenizer.count(text);
    }
  }
}

/** Figures that an entry can hold; others are as good as none. */
function isTokenUsage(value: unknown): value is TokenUsage {
  const { prompt_tokens: prompt, completion_tokens: completion } = (value ?? {}) as TokenUsage;
  return [prompt, completion].every((n) => Number.isInteger(n) && n >= 0 && n <= MAX_TOKENS);
}
