import type { ChatRequest } from './chat-request.schema.js';
import { promptOf } from './prompt.js';
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
  readonly id?: unknown;
  usage?: unknown;
  readonly choices?: readonly { message?: Said; delta?: Said }[];
  readonly error?: { code?: unknown; type?: unknown } | null;
}

/** What one call used, and how it was answered. */
export interface CallUsage {
  /** Both are 0 if the upstream refused or gave no answer. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Whether the tokens were counted here, since the upstream did not tell. */
  readonly isCounted: boolean;
  /** Status of the answer; 0 if there was none. */
  readonly status: number;
  /** A code of at most 64 characters for what went wrong. */
  readonly error: string | undefined;
  /** The upstream's id of the answer: one that answers a repeated call again gives the same. */
  readonly answerId: string | undefined;
}

const MAX_TOKENS = 2_147_483_647;
const MAX_ERROR_LENGTH = 64;
/** Characters that are counted at once, in a few milliseconds at most. */
const SHORT_LENGTH = 1024;

/** What one call used: the upstream's own figures, or, until there are any, a count of the texts. */
export class CallMeter {
  private told: TokenUsage | undefined;
  private promptTokens: number | undefined;
  private completionTokens = 0;
  /** Of the answer, not counted yet. */
  private readonly longTexts: string[] = [];
  private settling: Promise<CallUsage> | undefined;
  private status = 0;
  private error: string | undefined;
  private answerId: string | undefined;

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
    if (this.settling) return;
    this.error ??= error;
    this.status = status;
  }

  /** Takes note of a part that is about to be sent. Never throws, whatever the part is. */
  saw(part: AnswerPart): void {
    const { usage: told, error, id } = part;
    if (this.settling) return;
    if (typeof id === 'string') this.answerId ??= id;
    if (isTokenUsage(told)) this.told = told;
    const named = [error?.code, error?.type, 'error'].find((name) => typeof name === 'string');
    if (error && named) this.failed(named.slice(0, MAX_ERROR_LENGTH));
    try {
      let room = SHORT_LENGTH;
      for (const { message, delta } of part.choices ?? []) {
        room = this.note(message ?? delta ?? {}, room);
      }
    } catch {
      this.failed('unreadable_answer');
    }
  }

  /**
   * What was used so far, which is all of it once the call is over. Undefined if texts have to be
   * counted for it that would hold the event loop: `settle` counts them.
   */
  get usage(): CallUsage | undefined {
    const { told, isCounted, longTexts, status, error, answerId } = this;
    if (isCounted) this.promptTokens ??= this.countShortPrompt();
    if (isCounted && (this.promptTokens === undefined || longTexts.length > 0)) return undefined;
    const counted = isCounted ? this.completionTokens : 0;
    return {
      promptTokens: told?.prompt_tokens ?? this.promptTokens ?? 0,
      completionTokens: told?.completion_tokens ?? counted,
      isCounted,
      status,
      error,
      answerId,
    };
  }

  /** Ends the call: what comes after it is not used. */
  settle(): Promise<CallUsage> {
    return (this.settling ??= this.countRest());
  }

  private async countRest(): Promise<CallUsage> {
    if (this.usage) return this.usage;
    this.promptTokens ??= await this.tokenizer.countPrompt(this.request);
    const tokens = await this.tokenizer.countInTurns(this.longTexts);
    // Not before: until then whoever asks must not take what was counted for all.
    this.longTexts.length = 0;
    this.completionTokens += tokens;
    return this.usage!;
  }

  private countShortPrompt(): number | undefined {
    const { texts, markTokens } = promptOf(this.request);
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (length > SHORT_LENGTH) return undefined;
    return texts.reduce((sum, text) => sum + this.tokenizer.count(text), markTokens);
  }

  /** The upstream has read the prompt, and has not told what it took. */
  private get isCounted(): boolean {
    return this.told === undefined && this.status >= 200 && this.status < 300;
  }

  /** @param room characters that may be counted at once @returns those that are left of them */
  private note({ tool_calls: tools, function_call: call, ...said }: Said, room: number): number {
    if (this.told) return room;
    const calls = [...(tools ?? []).map((tool) => tool.function), call];
    const texts = [said.content, said.refusal, said.reasoning_content].concat(
      calls.flatMap((each) => [each?.name, each?.arguments]),
    );
    for (const text of texts) {
      if (typeof text !== 'string' || text === '') continue;
      if (text.length > room) this.longTexts.push(text);
      else {
        this.completionTokens += this.tokenizer.count(text);
        room -= text.length;
      }
    }
    return room;
  }
}

/** Figures that an entry can hold; others are as good as none. */
function isTokenUsage(value: unknown): value is TokenUsage {
  const { prompt_tokens: prompt, completion_tokens: completion } = (value ?? {}) as TokenUsage;
  return [prompt, completion].every((n) => Number.isInteger(n) && n >= 0 && n <= MAX_TOKENS);
}
