import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MeteredGateway } from '../../support/metered-gateway.js';
import { beginStream, UpstreamServer } from '../../support/upstream-server.js';
import { hostedVendors } from './hosted-vendors.js';
import { selfHostedServers } from './self-hosted-servers.js';

const vendors = [...hostedVendors, ...selfHostedServers];
const byName = vendors.map((vendor) => [vendor.name, vendor] as const);
const upstream = new UpstreamServer();
const messages = [{ role: 'user', content: 'Hello there' }];
const head = { id: 'answer-1', created: 1_700_000_000, model: 'gpt-4o' };

let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({ UPSTREAM_BASE_URL: await upstream.listen() });
});

beforeEach(() => gateway.forget());

afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
});

async function post(stream: boolean): Promise<string> {
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'gpt-4o', messages, stream }),
  });
  return answer.text();
}

/** The one entry: its tokens, and all that it says of them, wherever that is stored. */
async function booked(): Promise<object> {
  const [row] = await gateway.rows(1);
  const { prompt_tokens: prompt, completion_tokens: completion, attributes } = row;
  const parts = Object.entries(row as Record<string, unknown>)
    .filter(([name, value]) => /^(cache|reasoning|audio).*_tokens$/.test(name) && value !== null)
    .map(([name, value]) => [
      name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
      Number(value),
    ]);
  const facts = { prompt, completion, ...Object.fromEntries(parts), ...attributes };
  // Of the test's own upstream.
  delete facts.requestId;
  return facts;
}

describe.each(byName)('An answer as %s gives it', (_, vendor) => {
  it('is booked by its usage, if it comes whole', async () => {
    const body = JSON.stringify({
      ...head,
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello there' } }],
      ...vendor.whole,
    });
    upstream.answer = ({ response }) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    };
    expect(await post(false)).toBe(body);
    expect(await booked()).toEqual(vendor.booked);
  });

  it('is booked by its usage, if it is a stream', async () => {
    const chunks = vendor.chunks.map(
      (chunk) => `data: ${JSON.stringify({ ...head, ...chunk })}\n\n`,
    );
    upstream.answer = ({ response }) => {
      beginStream(response);
      response.end(`${vendor.before ?? ''}${chunks.join('')}data: [DONE]\n\n`);
    };
    const sent = await post(true);
    expect(sent.startsWith(vendor.before ?? 'data: ')).toBe(true);
    expect(sent).toContain('Hello there');
    expect(await booked()).toEqual(vendor.bookedOfStream ?? vendor.booked);
  });
});

it('The table of vendors names each of them, and the same documents', async () => {
  const page = await readFile(new URL('../../../docs/vendors.md', import.meta.url), 'utf8');
  for (const { name, sources } of vendors) {
    const row = page.split('\n').find((line) => line.startsWith(`| ${name} `)) ?? '';
    expect(row, `${name} has a row`).not.toBe('');
    for (const source of sources) expect(row).toContain(source);
    if (sources.length === 0) expect(row).toContain('none found');
  }
});
