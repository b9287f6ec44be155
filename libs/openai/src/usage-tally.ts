import { fieldsOf, listOf, type Fields } from './fields.js';
import { mergeUsage, normaliseUsage, usageOfChoices, type TokenUsage } from './normalise-usage.js';

/** What an upstream told of a call's usage, from all parts of its answer. */
export class UsageTally {
  private whole: TokenUsage | undefined;
  /** Of servers that tell it choice by choice. */
  private readonly choices = new Map<unknown, TokenUsage>();
  /** The sum of all choices; undefined after another one was reported. */
  private sum: TokenUsage | undefined;
  private hasTextSince = false;

  /** Takes note of a part of an answer; `hasText`: whether it says something. */
  add(part: Fields, hasText: boolean): void {
    const before = this.told;
    for (const place of placesOf(part)) {
      const usage = normaliseUsage(place);
      if (usage) this.whole = this.whole ? mergeUsage(this.whole, usage) : usage;
    }
    for (const choice of listOf(part.choices)) this.addChoice(fieldsOf(choice));
    const isNew = this.told !== before && this.told?.completionTokens !== 0;
    if (isNew) this.hasTextSince = false;
    else if (hasText) this.hasTextSince = true;
  }

  /** Undefined until the upstream told something that can be. */
  get told(): TokenUsage | undefined {
    if (this.whole || this.choices.size === 0) return this.whole;
    return (this.sum ??= usageOfChoices([...this.choices.values()]));
  }

  /** Whether text came after the last figures, so that these are only what had been used by then. */
  get isBehind(): boolean {
    return this.hasTextSince;
  }

  private addChoice(choice: Fields): void {
    // Nearly all have none, and to look for all its figures takes longer than to read the choice.
    const usage = choice.usage ? normaliseUsage(choice.usage) : undefined;
    if (!usage) return;
    const earlier = this.choices.get(choice.index);
    this.choices.set(choice.index, earlier ? mergeUsage(earlier, usage) : usage);
    this.sum = undefined;
  }
}

/** Where upstreams put their usage; the later of two places holds. */
function placesOf(part: Fields): unknown[] {
  const places = [fieldsOf(part.x_groq).usage, part.usage];
  // The Responses API tells it with the whole answer, Anthropic's streams with their message.
  for (const holder of [part.response, part.message]) places.push(fieldsOf(holder).usage);
  return places.filter((place) => typeof place === 'object' && place !== null);
}
