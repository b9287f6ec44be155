import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { UpstreamServer } from '../support/upstream-server.js';
import { PATIENCE } from '../support/patience.js';

const upstream = new UpstreamServer();
const folder = mkdtempSync(join(tmpdir(), 'gateway-prices-'));
const path = join(folder, 'prices.json');
let gateway: MeteredGateway;

/** As a ConfigMap changes: another file takes the place of the old one. */
function write(text: string): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}
const list = (version: string, prompt: number): string =>
  JSON.stringify({
    version,
    models: {
      'our-model': [{ prompt, cacheRead: 0.5, completion: 10, reasoning: 20 }],
      'dated-model': [{ from: '2999-01-01', prompt, completion: 10 }],
    },
  });

beforeAll(async () => {
  write(list('v1', 2));
  const url = await upstream.listen();
  gateway = await MeteredGateway.start({ UPSTREAM_BASE_URL: url, GATEWAY_PRICES: path });
});
beforeEach(() => gateway.forget());
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  await gateway?.stop();
  await upstream.close();
  rmSync(folder, { recursive: true });
});

/** The entry of a call of 1,000 tokens read, 600 of them from a cache, and 100 written, 40 thought. */
async function call(model: string, answeredModel = model): Promise<any> {
  await gateway.forget();
  const usage = {
    prompt_tokens: 1_000,
    completion_tokens: 100,
    total_tokens: 1_100,
    prompt_tokens_details: { cached_tokens: 600 },
    completion_tokens_details: { reasoning_tokens: 40 },
  };
  upstream.answer = ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ model: answeredModel, choices: [], usage }));
  };
  const messages = [{ role: 'user', content: 'Hi' }];
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages }),
  });
  expect(answer.status).toBe(200);
  return (await gateway.rows(1))[0];
}

async function metric(name: string): Promise<string | undefined> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return new RegExp(`^${name}(\\{.*\\})? .*$`, 'm').exec(text)?.[0];
}

it('An entry has what the call cost by the list, each part apart, and the version of the list', async () => {
  const cost = 400 * 2_000 + 600 * 500 + 60 * 10_000 + 40 * 20_000;
  expect(await call('our-model')).toMatchObject({
    cost_nanos: String(cost),
    price_version: 'v1',
    cache_read_tokens: 600,
    reasoning_tokens: 40,
    cache_write_tokens: null,
  });
});

it('The model that answered is priced before the one that was asked for', async () => {
  expect(await call('an-alias', 'our-model-2026-01-01')).toMatchObject({ price_version: 'v1' });
  expect(await call('our-model', 'unheard-of')).toMatchObject({ price_version: 'v1' });
});

it.each(['gpt-4o', 'dated-model'])(
  'A call of %s, without a price, has no cost and is counted',
  async (model) => {
    const count = async () => Number((await metric('gateway_unpriced_calls_total'))?.split(' ')[1]);
    const before = await count();
    expect(await call(model)).toMatchObject({ cost_nanos: null, price_version: null });
    expect(await count()).toBe(before + 1);
  },
);

it('Another list holds once it is there, also at SIGHUP, and a list at fault changes nothing', async () => {
  write(list('v2', 4));
  process.emit('SIGHUP');
  expect(await metric('gateway_prices_info')).toBe('gateway_prices_info{version="v2"} 1');
  expect(await call('our-model')).toMatchObject({ price_version: 'v2' });
  for (const fault of ['{', '{"version":"v3"}', list('v2', 5)]) {
    write(fault);
    process.emit('SIGHUP');
  }
  expect(await call('our-model')).toMatchObject({ price_version: 'v2' });
  expect(await metric('gateway_price_reloads_failed_total')).toMatch(/ [3-9]$/);
  write(list('v4', 6));
  // Without a signal.
  await expect.poll(() => metric('gateway_prices_info'), PATIENCE).toContain('"v4"');
});
