import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { LargeBodies } from './large-bodies.js';
import { TaskFailedError, TaskThread } from './task-thread.js';
import { Tokenizer } from './tokenizer.js';

const bodies = new LargeBodies();

const bodyOf = (content: string, more: object = {}): Buffer => {
  const messages = [{ role: 'user', content }];
  // A buffer of its own, as that of a body.
  return Buffer.concat([Buffer.from(JSON.stringify({ model: 'gpt-4o', messages, ...more }))]);
};

describe('LargeBodies', () => {
  it('gives a body back as it came, and what metering needs of it', async () => {
    const sent = bodyOf('é'.repeat(100_000), { user: 'alice', stream: false, secret: [1] });
    const copy = Buffer.from(sent);
    const body = await bodies.read(sent, 'alice');
    expect(body.bytes.equals(copy)).toBe(true);
    expect(body.askingForUsage()).toBe(body.bytes);
    expect(body.json).toMatchObject({ model: 'gpt-4o', user: 'alice', stream: false });
    expect(body.json).not.toHaveProperty('secret');
  });

  it('asks a stream for its usage, and leaves all other bytes', async () => {
    const text = `{ "messages":"${'é'.repeat(50_000)}" ,"stream":true,"n":1.0,"stream_options":{"x":"é"} }`;
    const body = await bodies.read(Buffer.concat([Buffer.from(text)]), 'alice');
    expect(body.askingForUsage().toString()).toBe(
      text.replace('{"x":"é"}', '{"x":"é","include_usage":true}'),
    );
  });

  it.each([
    ['text', '{"model":'.padEnd(70_000, ' '), 400],
    ['nothing but a quote', '"', 400],
    ['too many elements', `[${'{},'.repeat(200_000)}0]`, 413],
  ])('refuses %s that cannot be read', async (_, text, status) => {
    const body = Buffer.concat([Buffer.from(text)]);
    await expect(bodies.read(body, 'alice')).rejects.toMatchObject({ status });
  });

  it.each([['a text'], [[1, 2]], [null], [true]])('reads %j, which is no request', async (json) => {
    const body = await bodies.read(Buffer.concat([Buffer.from(JSON.stringify(json))]), 'alice');
    expect(body.json).toEqual(Array.isArray(json) ? [] : json);
  });

  it('shows enough of names that are wrong to refuse them', async () => {
    const { json } = await bodies.read(
      bodyOf('', { model: 'x'.repeat(1e6), user: { a: 1 }, stream: [1] }),
      'alice',
    );
    expect(json).toMatchObject({ model: 'x'.repeat(1024), user: {}, stream: [] });
  });

  it('counts a prompt as the tokenizer does', async () => {
    const text = randomBytes(60_000).toString('base64');
    const tokenizer = await Tokenizer.load('gpt-4o');
    const body = await bodies.read(bodyOf(text), 'alice');
    expect(await body.countPrompt('chat')).toBe(tokenizer.count(text) + 7);
    const { plan } = await body.planEcho();
    expect(plan).toMatchObject({
      said: `You said: ${text}`,
      promptTokens: tokenizer.count(text) + 7,
    });
  });

  it('leaves room for another caller, and answers 503 beyond', async () => {
    const read = (caller: string): Promise<unknown> =>
      bodies.read(bodyOf('x'.repeat(1e5)), caller).then(
        () => 200,
        ({ status }: { status: number }) => status,
      );
    // One is at hand, and half of the 32 that may wait are one caller's.
    const mallorys = Array.from({ length: 40 }, () => read('mallory'));
    const bobs = read('bob');
    const statuses = await Promise.all(mallorys);
    expect(statuses.filter((status) => status === 200)).toHaveLength(17);
    expect(statuses.filter((status) => status === 503)).toHaveLength(23);
    expect(await bobs).toBe(200);
  });
});

describe('TaskThread', () => {
  it('gives a task up that takes too long, and does the next one', async () => {
    // Counting takes 48 s where nothing else runs.
    const thread = new TaskThread(4, 5_000);
    const task = { name: 'count', endpoint: 'chat', caller: 'alice', lendsBytes: false } as const;
    const long = thread.run({ ...task, bytes: bodyOf(randomBytes(12e6).toString('base64')) });
    const short = thread.run({ ...task, bytes: bodyOf('Hi') });
    await expect(long).rejects.toThrow(TaskFailedError);
    expect(await short).toMatchObject({ result: 8 });
  });

  it('fails a task that cannot be done, and does the next one', async () => {
    const thread = new TaskThread(4, 30_000);
    const task = { name: 'count', endpoint: 'chat', caller: 'alice', lendsBytes: false } as const;
    await expect(thread.run({ ...task, bytes: Buffer.from('{') })).rejects.toThrow(TaskFailedError);
    expect(await thread.run({ ...task, bytes: bodyOf('Hi') })).toMatchObject({ result: 8 });
  });
});
