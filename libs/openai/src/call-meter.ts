import { outputTextsOf, textsOf, type AnswerText } from './answer-texts.js';
import { promptOf, type Endpoint } from './endpoints.js';
import { fieldsOf, listOf, plainText, type Fields } from './fields.js';
import type { LargeBody } from './large-bodies.js';
import type { TokenUsage } from './normalise-usage.js';
import { Tokenizer } from './tokenizer.js';
import { UsageTally } from './usage-tally.js';

/** Usage and result of one call. */
export interface CallUsage {
  /** Both are 0 if the upstream refused or gave no answer. */
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Parts of these two, as far as the upstream reported them: cached, reasoning, audio. */
  readonly details: Omit<TokenUsage, 'promptTokens' | 'completionTokens'>;
  /** Whether tokens were counted here, because the upstream did not report them. */
  readonly isCounted: boolean;
  /** Status of the answer; 0 if there was none. */
  readonly status: number;
  /** A code of at most 64 characters for the error. */
  readonly error: string | undefined;
  /**
   * Whether all of the answer was passed on, even if the client then left without closing properly.
   */
  readonly isComplete: boolean;
  /**
   * The model that answered, if the upstream reports one. At most 256 characters, like the next
   * three.
   */
  readonly model: string | undefined;
  readonly serviceTier: string | undefined;
  /** The upstream's own id of the request, from its headers. */
  readonly requestId: string | undefined;
  /** The answer's own id. */
  readonly answerId: string | undefined;
  /** The answer's own time: seconds since 1970. */
  readonly answeredAt: number | undefined;
}

const MAX_ERROR_LENGTH = 64;
const MAX_NAME_LENGTH = 256;
/** Characters of an answer that are held until it is known whether they must be counted. */
const MAX_HELD_LENGTH = 256 * 1024;
/** Headers with upstreams' ids of a request, the most common first. */
const REQUEST_ID_HEADERS = ['x-request-id', 'request-id', 'apim-request-id', 'x-generation-id'];

/** Usage of one call: the upstream's own figures, or a count of the texts if it reported none. */
export class CallMeter {
  private readonly tally = new UsageTally();
  private readonly texts = new Map<string, string[]>();
  private heldLength = 0;
  private hasText = false;
  /** Tokens of texts that are no longer held. */
  private counted: Promise<number> = Promise.resolve(0);
  /** Resolves once the call is settled. */
  readonly settled: Promise<CallUsage>;
  private done: (used: CallUsage) => void = () => undefined;
  private settledUsage: CallUsage | undefined;
  private isSettling = false;
  private isClientGone = false;
  private isComplete = false;
  private status = 0;
  private error: string | undefined;
  private model: string | undefined;
  private serviceTier: string | undefined;
  private requestId: string | undefined;
  private answerId: string | undefined;
  private answeredAt: number | undefined;

  constructor(
    private readonly endpoint: Endpoint,
    private readonly request: unknown,
    /** Set for a large request: its prompt is counted from there. */
    private readonly largeBody?: LargeBody,
  ) {
    this.settled = new Promise((resolve) => (this.done = resolve));
  }

  /**
   * The upstream has begun to answer: from here on it has read the prompt, unless it refused.
   *
   * @param headers of the answer @param asked those of the caller
   */
  answered(status: number, headers: Fields = {}, asked: Fields = {}): void {
    this.status = status;
    // An id that the caller sent, and that was returned, is not the upstream's.
    const name = REQUEST_ID_HEADERS.find((each) => headers[each] && headers[each] !== asked[each]);
    this.requestId = name && plainText(headers[name], MAX_NAME_LENGTH);
  }

  /** Notes an error; the first of several is kept. `status`: the client's status instead. */
  failed(error: string, status = this.status): void {
    if (this.isSettling) return;
    this.error ??= error;
    this.status = status;
  }

  /** Later parts are not sent: their texts are not charged, but their usage is. */
  clientLeft(): void {
    this.isClientGone = true;
  }

  /** All of the answer was passed on. */
  completed(): void {
    this.isComplete ||= !this.isClientGone;
  }

  /**
   * Notes a part that is about to be sent. Never throws for any part.
   *
   * @param isWhole it is the only part: its texts are ignored if it reports usage
   */
  saw(part: Fields, isWhole = false): void {
    if (this.isSettling) return;
    try {
      this.note(part, isWhole);
    } catch {
      this.failed('unreadable_answer');
    }
  }

  /** The usage, once the call is settled. */
  get usage(): CallUsage | undefined {
    return this.settledUsage;
  }

  /** Whether the client left before the answer was over. */
  get isAbandoned(): boolean {
    return this.isClientGone;
  }

  /** Whether the client was sent any text. */
  get hasSpoken(): boolean {
    return this.hasText;
  }

  /**
   * Ends the call: later parts are ignored. Counts tokens that were not reported. Never rejects.
   */
  settle(): Promise<CallUsage> {
    if (this.isSettling) return this.settled;
    this.isSettling = true;
    if (this.needsPrompt || this.needsCompletion) this.countRest().catch(() => this.giveUp());
    else this.finish(0, 0);
    return this.settled;
  }

  private note(part: Fields, isWhole: boolean): void {
    const response = fieldsOf(part.response);
    const texts = this.tallied(part, response, isWhole);
    this.describe(part, response);
    const error = errorIn(part) ?? errorIn(response);
    const isOdd = !Array.isArray(part.choices ?? []);
    if (isOdd) this.failed('unreadable_answer');
    if (error !== undefined) this.failed(error);
    if (!this.isClientGone) this.hold(texts);
  }

  /** Notes the usage, and returns the texts that may have to be counted. */
  private tallied(part: Fields, response: Fields, isWhole: boolean): AnswerText[] {
    if (isWhole) {
      this.tally.add(part, false);
      if (this.tally.told?.completionTokens) return [];
    }
    const texts = textsOf(part, this.hasText);
    // A stream of the Responses API repeats its text at its end.
    if (!this.hasText) texts.push(...outputTextsOf(part), ...outputTextsOf(response));
    if (!isWhole) this.tally.add(part, texts.length > 0);
    return texts;
  }

  private describe(part: Fields, response: Fields): void {
    this.model ??= plainText(part.model ?? response.model, MAX_NAME_LENGTH);
    this.answerId ??= plainText(part.id ?? response.id, MAX_NAME_LENGTH);
    const created = part.created ?? response.created_at;
    if (typeof created === 'number') this.answeredAt ??= created;
    const tier = part.service_tier ?? response.service_tier ?? fieldsOf(part.usage).service_tier;
    this.serviceTier = plainText(tier, MAX_NAME_LENGTH) ?? this.serviceTier;
  }

  private hold(texts: readonly AnswerText[]): void {
    for (const { place, text } of texts) {
      this.hasText = true;
      this.heldLength += text.length;
      const held = this.texts.get(place);
      if (held) held.push(text);
      else this.texts.set(place, [text]);
    }
    if (this.heldLength <= MAX_HELD_LENGTH) return;
    const [before, held] = [this.counted, this.takeTexts()];
    this.counted = this.count(held).then(async (tokens) => tokens + (await before));
    // The error appears when the call is settled.
    this.counted.catch(() => undefined);
  }

  private takeTexts(): string[] {
    const texts = [...this.texts.values()].map((parts) => parts.join(''));
    this.texts.clear();
    this.heldLength = 0;
    return texts;
  }

  private async countRest(): Promise<void> {
    const prompt = this.needsPrompt ? await this.countPrompt() : 0;
    const held = this.needsCompletion ? this.takeTexts() : [];
    const answer = (await this.count(held)) + (await this.counted);
    this.finish(prompt, this.needsCompletion ? answer : 0);
  }

  /** An uncountable call is recorded with the reported usage, or none, and marked so. */
  private giveUp(): void {
    this.error ??= 'uncounted';
    this.finish(0, 0);
  }

  private async countPrompt(): Promise<number> {
    if (this.largeBody) return this.largeBody.countPrompt(this.endpoint.name);
    const { texts, markTokens } = promptOf(this.endpoint, this.request);
    return markTokens + (await this.count(texts));
  }

  /** Most calls need no tokenizer, because the upstream reports usage. */
  private async count(texts: readonly string[]): Promise<number> {
    const { model } = fieldsOf(this.request);
    const tokenizer = await Tokenizer.load(typeof model === 'string' ? model : '');
    return tokenizer.countAll(texts);
  }

  private finish(countedPrompt: number, countedCompletion: number): void {
    const { promptTokens, completionTokens, ...details } = this.tally.told ?? {};
    const isTold = this.isCharged && promptTokens !== undefined;
    const isUncounted = completionTokens !== undefined && completionTokens >= countedCompletion;
    const { status, error, isComplete, model, serviceTier, requestId, answerId, answeredAt } = this;
    this.settledUsage = {
      promptTokens: isTold ? promptTokens : countedPrompt,
      completionTokens: isTold && isUncounted ? completionTokens : countedCompletion,
      details: isTold ? details : {},
      isCounted:
        this.needsPrompt || (this.needsCompletion && !isUncounted && countedCompletion > 0),
      status,
      error,
      isComplete,
      model,
      serviceTier,
      requestId,
      answerId,
      answeredAt,
    };
    this.done(this.settledUsage);
  }

  /** Whether the upstream has read the prompt. An error instead of an answer costs nothing. */
  private get isCharged(): boolean {
    if (!this.endpoint.promptOf || this.status < 200 || this.status >= 300) return false;
    const isOnlyError = this.error !== undefined && !UNREAD.has(this.error) && !this.hasText;
    return !isOnlyError || this.tally.told !== undefined;
  }

  private get needsPrompt(): boolean {
    return this.isCharged && this.tally.told === undefined;
  }

  /**
   * Whether texts must be counted: usage was not reported; the reported usage is zero although
   * there were texts; or more texts came after the last report, which only covers the texts before
   * it.
   */
  private get needsCompletion(): boolean {
    if (!this.isCharged || !this.hasText) return false;
    return !this.tally.told?.completionTokens || this.tally.isBehind;
  }
}

/**
 * Errors of the reading, not of the answer: the upstream has worked, and its answer was passed on.
 */
const UNREAD = new Set(['unreadable_answer', 'upstream_broke_off']);

/** A code for the error reported by a part, if there is one. */
function errorIn(part: Fields): string | undefined {
  const inChoice = listOf(part.choices)
    .map((choice) => fieldsOf(choice).error)
    .find(Boolean);
  const isError = part.object === 'error' || part.type === 'error';
  // Groq's streams contain there, as a text, the reason why they stopped early.
  const beside = fieldsOf(part.x_groq).error;
  const error = part.error || inChoice || beside || (isError ? { code: part.code } : undefined);
  if (!error) return undefined;
  const { code, type } = fieldsOf(error);
  const named = [code, type].map((name) => (typeof name === 'number' ? String(name) : name));
  const texts = named.map((name) => plainText(name, MAX_ERROR_LENGTH));
  return texts.find((text) => text !== undefined) ?? 'error';
}
