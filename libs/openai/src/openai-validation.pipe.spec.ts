import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { callRequest } from './call-request.schema.js';
import { loopbackRequest } from './loopback-request.schema.js';
import type { OpenAiError } from './openai-error.js';
import { openAiValidationPipe } from './openai-validation.pipe.js';

const MESSAGE = { role: 'user', content: 'Hi' };
const RIGHT = { model: 'gpt-4o', messages: [MESSAGE] };

const metadata = { type: 'body' as const, schema: loopbackRequest };

async function errorOf(
  body: unknown,
  schema: typeof callRequest | typeof loopbackRequest = loopbackRequest,
): Promise<OpenAiError['error']> {
  const error: unknown = await openAiValidationPipe
    .transform(body, { ...metadata, schema })
    .catch((e) => e);
  if (!(error instanceof BadRequestException)) throw new Error('the body was accepted');
  return (error.getResponse() as OpenAiError).error;
}

describe('openAiValidationPipe', () => {
  it('names every field at fault, as OpenAI spells it', async () => {
    const error = await errorOf({ messages: [{ role: 'user' }, { role: 7 }], n: 0 });
    expect(error).toMatchObject({ type: 'invalid_request_error', param: 'model', code: null });
    expect(error.message).toMatch(/model: .*; messages\[1\]\.role: .*; n: /);
  });

  it.each([
    ['messages', (items: unknown[]) => ({ messages: items }), 'messages[1]'],
    ['stops', (items: unknown[]) => ({ stop: items }), 'stop'],
  ])('names only the first of many %s at fault', async (_, bodyOf, param) => {
    const first = param.startsWith('messages[1]') ? MESSAGE : {};
    const items = [first, ...Array.from({ length: 1000 }, () => 1)];
    const error = await errorOf({ ...RIGHT, ...bodyOf(items) });
    expect(error.param).toBe(param);
    expect(error.message.length).toBeLessThan(100);
  });

  it('keeps no fault of the elements behind the first one', () => {
    const body = { ...RIGHT, messages: Array.from({ length: 1000 }, () => 1) };
    const { error } = loopbackRequest.safeParse(body);
    expect(JSON.stringify(error?.issues).length).toBeLessThan(1000);
  });

  it('names the body if it is none', async () => {
    expect(await errorOf(undefined)).toMatchObject({ param: 'body' });
  });

  it.each([
    ['a user id above 256 bytes', { user: 'ä'.repeat(129) }],
    ['a user id with U+0000', { user: 'a\0b' }],
    ['a user id with half a surrogate pair', { user: 'a\ud83d' }],
    ['a model without a name', { model: '' }],
    ['a stream flag that is no boolean', { stream: 'yes' }],
  ])('refuses %s', async (_, wrong) => {
    expect((await errorOf({ ...RIGHT, ...wrong }, callRequest)).param).toBe(Object.keys(wrong)[0]);
  });

  it.each([
    { user: null, stream: null },
    { user: '', n: 0, temperature: 9, stop: ['a', 'b', 'c', 'd', 'e'], max_tokens: -1 },
    { messages: 'Hi', tools: null, stream_options: null },
  ])('leaves all that it need not know to the upstream: %j', async (more) => {
    const body = { ...RIGHT, ...more };
    const metadata = { type: 'body' as const, schema: callRequest };
    expect(await openAiValidationPipe.transform(body, metadata)).toEqual(body);
  });

  it('leaves what a tool calls its parameters as it is', async () => {
    const properties = { prototype: { type: 'string' }, constructor: { type: 'number' } };
    const tools = [{ type: 'function', function: { name: 'draw', parameters: { properties } } }];
    const body = JSON.stringify({ ...RIGHT, tools });
    const taken = await openAiValidationPipe.transform(JSON.parse(body), metadata);
    expect(JSON.parse(JSON.stringify(taken))).toEqual(JSON.parse(body));
  });
});
