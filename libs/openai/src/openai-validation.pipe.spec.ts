import { BadRequestException } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { chatRequest } from './chat-request.schema.js';
import type { OpenAiError } from './openai-error.js';
import { openAiValidationPipe } from './openai-validation.pipe.js';

async function errorOf(body: unknown): Promise<OpenAiError['error']> {
  const metadata = { type: 'body' as const, schema: chatRequest };
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

  it('names the body if it is none', async () => {
    expect(await errorOf(undefined)).toMatchObject({ param: 'body' });
  });

  it.each([
    ['a user id above 256 bytes', { user: 'ä'.repeat(129) }],
    ['a user id with U+0000', { user: 'a\0b' }],
    ['a stream flag that is no boolean', { stream: 'yes' }],
    ['no messages', { messages: [] }],
  ])('refuses %s', async (_, wrong) => {
    const right = { model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] };
    expect((await errorOf({ ...right, ...wrong })).param).toBe(Object.keys(wrong)[0]);
  });
});
