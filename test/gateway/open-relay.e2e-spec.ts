import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';

const BODY = JSON.stringify({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
const JSON_TYPE = { 'content-type': 'application/json' };
let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({ GATEWAY_HOSTS: 'Gateway.Internal' });
});
beforeEach(() => gateway.forget());
afterAll(() => gateway.stop());

/** With a `Host` of one's own, which `fetch` does not send. */
function ask(headers: Record<string, string>, path = '/v1/chat/completions'): Promise<number> {
  const isCall = path.endsWith('completions');
  const options = { method: isCall ? 'POST' : 'GET', headers };
  return new Promise((resolve, reject) => {
    const sent = request(`${gateway.url}${path}`, options, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.on('error', reject).end(isCall ? BODY : undefined);
  });
}

describe('A gateway without keys', () => {
  it.each(['localhost', '127.0.0.1:3000', '[::1]', 'gateway.internal:80'])(
    'answers a call to %s',
    async (host) => {
      expect(await ask({ ...JSON_TYPE, host })).toBe(200);
      await gateway.rows(1);
    },
  );

  it.each(['evil.example', 'localhost.evil.example', '127.0.0.1.nip.example:3000'])(
    'refuses a name that somebody else gave it: %s, on every path, and books nothing',
    async (host) => {
      expect(await ask({ ...JSON_TYPE, host })).toBe(403);
      for (const path of ['/', '/metrics', '/v1/usage/summary', '/health']) {
        expect(await ask({ host }, path)).toBe(403);
      }
      await gateway.rows(0);
    },
  );

  it.each(['https://evil.example', 'null', 'http://localhost:1'])(
    'refuses what a page of %s sends, and books nothing',
    async (origin) => {
      expect(await ask({ ...JSON_TYPE, origin })).toBe(403);
      await gateway.rows(0);
    },
  );

  it('takes what a page of its own sends', async () => {
    expect(await ask({ ...JSON_TYPE, origin: gateway.url })).toBe(200);
    await gateway.rows(1);
  });

  it.each([
    'text/plain',
    'text/plain; charset=application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=application/json',
    'application/jsonp',
    'text/plain,application/json',
    '',
  ])('answers 415 to a body of type "%s", which a form of any page sends', async (type) => {
    expect(await ask(type === '' ? {} : { 'content-type': type })).toBe(415);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ prompt_tokens: 0, user_id: 'anonymous' });
  });

  it.each(['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.api+json'])(
    'takes a body of type %s',
    async (type) => expect(await ask({ 'content-type': type })).toBe(200),
  );
});
