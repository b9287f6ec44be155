import type { ChatRequest } from './chat-request.schema.js';
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

/** What one call used, and how it was answered. */
export interface CallUsage {
  /** 0 if the upstream did not read it, that is, if it refused or gave no answer. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Whether the tokens were counted here, since the upstream did not tell. */
  readonly isCounted: boolean;
  /** Status of the answer; 0 if there was none. */
  readonly status: number;
  /** A code of at most 64 characters for what went wrong. */
  readonly error: string | undefined;
}

const MAX_TOKENS = 2_147_483_647;
const MAX_ERROR_LENGTH = 64;

/** What one call used: the upstream's own figures, or, until there are any, a count of the texts. */
export class CallMeter {
  private told: TokenUsage | undefined;
  private counted = 0;
  private status = 0;
  private error: string | undefined;

  constructor(
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

  /** What was used so far, which is all of it once the call is over. */
  get usage(): CallUsage {
    const { told, status, error } = this;
    const isRead = status >= 200 && status < 300;
    const isCounted = told === undefined && isRead;
    return {
      promptTokens:
        told?.prompt_tokens ?? (isCounted ? this.tokenizer.countPrompt(this.request) : 0),
      completionTokens: told?.completion_tokens ?? this.counted,
      isCounted,
      status,
      error,
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
