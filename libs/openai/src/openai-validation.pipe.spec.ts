import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { chatRequest } from './chat-request.schema.js';
import type { OpenAiError } from './openai-error.js';
import { openAiValidationPipe } from './openai-validation.pipe.js';

const MESSAGE = { role: 'user', content: 'Hi' };
const RIGHT = { model: 'gpt-4o', messages: [MESSAGE] };
const said = (more: object) => ({ messages: [{ ...MESSAGE, ...more }] });

const metadata = { type: 'body' as const, schema: chatRequest };

async function errorOf(body: unknown): Promise<OpenAiError['error']> {
  const error: unknown = await openAiValidationPipe.transform(body, metadata).catch((e) => e);
  if (!(error instanceof BadRequestException)) throw new Error('the body was accepted');
  return (error.getResponse() as OpenAiError).error;
}

describe('openAiValidationPipe', () => {
  it('names every field at fault, as OpenAI spells it', async () => {
    const error = await errorOf({ messages: [{ role: 'user' }, { role: 'robot' }], n: 0 });
    expect(error).toMatchObject({ type: 'invalid_request_error', param: 'model', code: null });
    expect(error.message).toMatch(/model: .*; messages\[1\]\.role: .*; n: /);
  });

  it.each([
    ['messages', (items: unknown[]) => ({ messages: items }), 'messages[1]'],
    ['tools', (items: unknown[]) => ({ tools: items }), 'tools[1]'],
    ['tool calls', (items: unknown[]) => said({ tool_calls: items }), 'messages[0].tool_calls[1]'],
    ['stops', (items: unknown[]) => ({ stop: items }), 'stop'],
    ['parts', (items: unknown[]) => said({ content: items }), 'messages[0].content'],
  ])('names only the first of many %s at fault', async (_, bodyOf, param) => {
    const first = param.startsWith('messages[1]') ? MESSAGE : {};
    const items = [first, ...Array.from({ length: 1000 }, () => 1)];
    const error = await errorOf({ ...RIGHT, ...bodyOf(items) });
    expect(error.param).toBe(param);
    expect(error.message.length).toBeLessThan(100);
  });

  it('keeps no fault of the elements behind the first one', () => {
    const body = { ...RIGHT, ...said({ content: Array.from({ length: 1000 }, () => 1) }) };
    const { error } = chatRequest.safeParse(body);
    expect(JSON.stringify(error?.issues).length).toBeLessThan(1000);
  });

  it('names the body if it is none', async () => {
    expect(await errorOf(undefined)).toMatchObject({ param: 'body' });
  });

  it.each([
    ['a user id above 256 bytes', { user: 'ä'.repeat(129) }],
    ['a user id with U+0000', { user: 'a\0b' }],
    ['a stream flag that is no boolean', { stream: 'yes' }],
    ['no messages', { messages: [] }],
  ])('refuses %s', async (_, wrong) => {
    expect((await errorOf({ ...RIGHT, ...wrong })).param).toBe(Object.keys(wrong)[0]);
  });

  it('leaves what a tool calls its parameters as it is', async () => {
    const properties = { prototype: { type: 'string' }, constructor: { type: 'number' } };
    const tools = [{ type: 'function', function: { name: 'draw', parameters: { properties } } }];
    const body = JSON.stringify({ ...RIGHT, tools });
    const taken = await openAiValidationPipe.transform(JSON.parse(body), metadata);
    expect(JSON.parse(JSON.stringify(taken))).toEqual(JSON.parse(body));
  });
});
