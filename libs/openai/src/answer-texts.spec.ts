import { describe, expect, it } from 'vitest';
import { outputTextsOf, textsOf } from './answer-texts.js';

const T = 'The quick brown fox.';
const said = (part: object) => textsOf(part as Record<string, unknown>).map(({ text }) => text);
const delta = (fields: object) => said({ choices: [{ index: 0, delta: fields }] });

describe('textsOf', () => {
  it.each([
    ['content', { content: T }],
    ['a list of parts', { content: [{ type: 'text', text: T }] }],
    ['a part that is an object', { content: { type: 'text', text: T } }],
    ['thinking in the content', { content: [{ type: 'thinking', thinking: [{ text: T }] }] }],
    ['reasoning_content', { reasoning_content: T }],
    ['two names of one thought', { reasoning: T, reasoning_content: T }],
    ['details of one thought', { reasoning: T, reasoning_details: [{ type: 'x', text: T }] }],
    ['a summary of it', { reasoning_details: [{ type: 'reasoning.summary', summary: T }] }],
    ['thinking blocks', { thinking_blocks: [{ type: 'thinking', thinking: T, signature: 's' }] }],
    ['a refusal', { refusal: T }],
    ['a transcript', { audio: { transcript: T, data: 'UklGRg==' } }],
    ['arguments as text', { tool_calls: [{ index: 0, function: { arguments: T } }] }],
    ['a custom tool', { tool_calls: [{ index: 0, custom: { input: T } }] }],
    ['an older call', { function_call: { arguments: T } }],
  ])('finds %s once', (_, fields) => {
    expect(delta(fields)).toEqual([T]);
  });

  it('finds arguments that are an object, as their JSON', () => {
    const call = { tool_calls: [{ index: 0, function: { name: 'f', arguments: { a: [1] } } }] };
    expect(delta(call)).toEqual(['f', '{"a":[1]}']);
  });

  it('finds the text of older completions, and of a message', () => {
    expect(said({ choices: [{ index: 0, text: T }] })).toEqual([T]);
    expect(said({ choices: [{ message: { content: T } }] })).toEqual([T]);
  });

  it('takes the one of delta and message that says something', () => {
    const empty = { role: '', content: '' };
    expect(said({ choices: [{ delta: { content: T }, message: empty }] })).toEqual([T]);
    expect(said({ choices: [{ delta: empty, message: { content: T } }] })).toEqual([T]);
  });

  it.each([
    ['response.output_text.delta', { delta: T }],
    ['response.reasoning_summary_text.delta', { delta: T }],
    ['response.function_call_arguments.delta', { delta: T }],
    ['content_block_delta', { delta: { type: 'text_delta', text: T } }],
    ['response.output_item.added', { item: { type: 'function_call', name: T } }],
  ])('finds the text of the event %s', (type, fields) => {
    expect(said({ type, ...fields })).toEqual([T]);
  });

  it.each([
    { type: 'response.output_audio.delta', delta: 'UklGRg==' },
    { type: 'response.output_text.done', text: T },
    { type: 'response.content_part.done', part: { text: T } },
    { choices: [{ delta: { reasoning_details: [{ type: 'reasoning.encrypted', data: 'xyz' }] } }] },
    { choices: [{ delta: { content: null, tool_calls: null, audio: null } }] },
    { choices: [null, 7, 'x'] },
    { choices: 'none' },
  ])('finds none in %j', (part) => {
    expect(said(part)).toEqual([]);
  });

  it('ends in what is nested without end', () => {
    let content: unknown = T;
    for (let depth = 0; depth < 10_000; depth += 1) content = [content];
    expect(delta({ content })).toEqual([]);
  });
});

describe('outputTextsOf', () => {
  it('finds messages, thoughts and calls of a whole answer', () => {
    const output = [
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }], content: null },
      { type: 'message', content: [{ type: 'output_text', text: T }] },
      { type: 'function_call', name: 'f', arguments: '{}' },
    ];
    expect(outputTextsOf({ output }).map(({ text }) => text)).toEqual(['Hm.', T, 'f', '{}']);
  });
});
