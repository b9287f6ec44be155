import { fieldsOf, listOf, type Fields } from './fields.js';

/** A text of an answer; parts of one text have the same place, in order. */
export interface AnswerText {
  readonly place: string;
  readonly text: string;
}

/** Members of an object that may contain text; the first non-empty one is used. */
const TEXT_MEMBERS = ['text', 'thinking', 'refusal', 'content', 'summary', 'transcript', 'output'];
/** Fields of a message that may repeat the same thought under different names. */
const THOUGHTS = [
  'reasoning_content',
  'reasoning',
  'reasoning_details',
  'thinking',
  'thinking_blocks',
];
/** Deeper ones are not messages; an endlessly nested answer must not end the process. */
const MAX_DEPTH = 8;
/** Events of the Responses API whose `delta` is sound or a picture in Base64. */
const NO_TEXT = new Set(['response.audio.delta', 'response.output_audio.delta']);

/**
 * Every text in a part of an answer, once: a whole answer or a chunk of one, of chat completions,
 * the older completions, the Responses API or Anthropic's messages. Encrypted or encoded fields
 * (`data`, `encrypted_content`, `b64_json`) are excluded.
 *
 * @param hasText whether earlier parts had text: a `message` next to a `delta` may repeat it
 */
export function textsOf(part: Fields, hasText = false): AnswerText[] {
  const texts: AnswerText[] = [];
  const add = (place: string, text: string): void => {
    if (text !== '') texts.push({ place, text });
  };
  for (const each of listOf(part.choices)) {
    const choice = fieldsOf(each);
    const index = String(firstNumber(choice.index));
    add(`${index}/text`, textIn(choice.text));
    addSaid(index, saidIn(choice, hasText), add);
  }
  addEvent(part, add);
  return texts;
}

/** Texts of the whole answer of the Responses API, which its stream repeats at its end. */
export function outputTextsOf(answer: Fields): AnswerText[] {
  return listOf(answer.output).flatMap((each, index) => {
    const item = fieldsOf(each);
    const parts: [string, unknown][] = [
      ['content', textIn(item.summary) + textIn(item.content)],
      ['name', item.name],
      ['arguments', item.arguments ?? item.input ?? item.code],
    ];
    return parts.flatMap(([name, value]) => {
      const text = name === 'arguments' ? argumentsIn(value) : textIn(value);
      return text === '' ? [] : [{ place: `${index}/${name}`, text }];
    });
  });
}

/**
 * A chunk's `delta`, or a whole answer's `message`. SGLang has sent both, one of them empty. Perplexity
 * sends both in each chunk: a `message` whose `delta` is empty may repeat what was said before.
 */
function saidIn({ delta, message }: Fields, hasText: boolean): Fields {
  const said = fieldsOf(delta);
  const isDelta = delta !== undefined && delta !== null;
  if (!isSilent(said) || (isDelta && hasText)) return said;
  return fieldsOf(message ?? delta);
}

function isSilent(said: Fields): boolean {
  return Object.values(said).every((value) => value === null || value === '');
}

type Add = (place: string, text: string) => void;

function addSaid(index: string, said: Fields, add: Add): void {
  const content = textIn(said.content);
  add(`${index}/content`, content);
  add(`${index}/refusal`, textIn(said.refusal));
  add(`${index}/thought`, thoughtIn(said, content));
  add(`${index}/audio`, textIn(fieldsOf(said.audio).transcript));
  addCall(`${index}/call`, fieldsOf(said.function_call), add);
  for (const [position, each] of listOf(said.tool_calls).entries()) {
    const tool = fieldsOf(each);
    const place = `${index}/tool/${firstNumber(tool.index, position)}`;
    addCall(place, fieldsOf(tool.function ?? tool.custom), add);
  }
}

function addCall(place: string, call: Fields, add: Add): void {
  add(`${place}/name`, textIn(call.name));
  add(`${place}/arguments`, argumentsIn(call.arguments ?? call.input));
}

/** An event of the Responses API, or of Anthropic's messages. Their closing events repeat all. */
function addEvent({ type, delta, item, ...event }: Fields, add: Add): void {
  if (typeof type !== 'string' || NO_TEXT.has(type)) return;
  const output = firstNumber(event.output_index, event.index);
  const place = `${output}/${firstNumber(event.content_index, event.summary_index)}/${type}`;
  if (type.endsWith('.delta')) add(place, textIn(delta));
  if (type === 'content_block_delta') {
    const { text, thinking, partial_json: json } = fieldsOf(delta);
    add(place, textIn(text) + textIn(thinking) + textIn(json));
  }
  if (type === 'response.output_item.added') add(`${place}/name`, textIn(fieldsOf(item).name));
}

/** The place of a part among others; servers that have one only leave it out. */
function firstNumber(...values: unknown[]): number {
  return values.find((value) => typeof value === 'number') ?? 0;
}

/** What was thought, once, however many fields repeat it. */
function thoughtIn(said: Fields, content: string): string {
  const texts = THOUGHTS.map((name) => textIn(said[name])).filter((text) => text !== '');
  const longest = texts.reduce((a, b) => (b.length > a.length ? b : a), '');
  return longest !== '' &&
    content !== '' &&
    Array.isArray(said.content) &&
    content.includes(longest)
    ? ''
    : longest;
}

/** The text of a value: itself, of a list all of it, of an object its own. */
export function textIn(value: unknown, depth = 0): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return '';
  if (Array.isArray(value)) return value.map((each) => textIn(each, depth + 1)).join('');
  const member = TEXT_MEMBERS.map((name) => (value as Fields)[name]).find(
    (each) => each !== undefined && each !== null && each !== '',
  );
  return textIn(member, depth + 1);
}

/** Arguments of a call: their text, or, from servers that write them as an object, its JSON. */
function argumentsIn(value: unknown): string {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : '';
}
