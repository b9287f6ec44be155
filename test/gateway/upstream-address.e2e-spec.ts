import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { HttpProxy } from '../support/http-proxy.js';
import { MeteredGateway } from '../support/metered-gateway.js';
import { beginStream, says, UpstreamServer } from '../support/upstream-server.js';

const upstream = new UpstreamServer();
const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const BOOKED = { prompt_tokens: 7, completion_tokens: 3 };
/** The first byte of a connection with TLS. */
const TLS_HANDSHAKE = 0x16;
const KEY = 'sk-alice-0123456789';
let upstreamUrl: string;

beforeAll(async () => {
  upstreamUrl = await upstream.listen();
});
afterEach(() => {
  vi.unstubAllEnvs();
  upstream.asked.length = 0;
});
afterAll(() => upstream.close());

async function start(environment: Record<string, string>): Promise<MeteredGateway> {
  const gateway = await MeteredGateway.start(environment);
  onTestFinished(() => gateway.stop());
  upstream.answer = ({ response, body }) => {
    if (body?.stream) {
      beginStream(response);
      const usage = `data: ${JSON.stringify({ choices: [], usage: USAGE })}\n\n`;
      return response.end(`${says('Hello')}${usage}data: [DONE]\n\n`);
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ choices: [], usage: USAGE }));
  };
  return gateway;
}

function post(
  { url }: MeteredGateway,
  { stream = false, headers = {} }: { stream?: boolean; headers?: Record<string, string> } = {},
): Promise<Response> {
  const messages = [{ role: 'user', content: 'Hi' }];
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'gpt-4o', messages, stream }),
  });
}

describe('A gateway that may only go out through a proxy', () => {
  async function behindProxy(
    base: string,
    { noProxy = '', user = '' } = {},
  ): Promise<[MeteredGateway, HttpProxy]> {
    const proxy = new HttpProxy(Number(new URL(upstreamUrl).port));
    onTestFinished(() => proxy.close());
    const url = (await proxy.listen()).replace('//', `//${user}`);
    // Names in lower case have priority, and this machine may set some.
    for (const name of ['http_proxy', 'https_proxy', 'no_proxy']) vi.stubEnv(name, undefined);
    vi.stubEnv('HTTP_PROXY', url);
    vi.stubEnv('HTTPS_PROXY', url);
    vi.stubEnv('NO_PROXY', noProxy);
    return [await start({ UPSTREAM_BASE_URL: base }), proxy];
  }

  it('asks the proxy for a name that only the proxy knows, for whole answers and streams', async () => {
    const [gateway, proxy] = await behindProxy('http://models.invalid/v1');
    expect((await post(gateway)).status).toBe(200);
    const stream = await post(gateway, { stream: true });
    expect(await stream.text()).toContain('Hello');
    expect(proxy.asked).toHaveLength(2);
    for (const row of await gateway.rows(2)) expect(row).toMatchObject(BOOKED);
    // The upstream is named as the client of a proxy names it.
    expect(upstream.asked[0]?.headers.host).toBe('models.invalid');
  });

  it('answers 502 if the proxy does not let it through, and books the call', async () => {
    const [gateway, proxy] = await behindProxy('https://models.invalid/v1');
    proxy.mayTunnel = false;
    const answer = await post(gateway);
    expect(answer.status).toBe(502);
    expect(proxy.asked).toEqual(['CONNECT models.invalid:443']);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ prompt_tokens: 0, attributes: { status: 502 } });
  });

  it('identifies itself to the proxy, and to nobody behind it', async () => {
    const [gateway, proxy] = await behindProxy('http://models.invalid/v1', {
      user: 'al%40ice:p%3Aw@',
    });
    proxy.credentials = 'al@ice:p:w';
    expect((await post(gateway)).status).toBe(200);
    expect(upstream.asked[0]?.headers).not.toHaveProperty('proxy-authorization');
    proxy.credentials = 'other:password';
    const refused = await post(gateway);
    expect(refused.status).toBe(502);
    expect(refused.headers.has('proxy-authenticate')).toBe(false);
    const [first, second] = await gateway.rows(2);
    expect(first).toMatchObject(BOOKED);
    expect(second).toMatchObject({ prompt_tokens: 0, attributes: { status: 502 } });
  });

  it('identifies itself before it is let through a tunnel', async () => {
    const [gateway, proxy] = await behindProxy('https://models.invalid/v1', { user: 'token@' });
    proxy.credentials = 'token:';
    // The upstream knows no TLS, and ends the connection.
    expect((await post(gateway)).status).toBe(502);
    expect(proxy.asked).toEqual(['CONNECT models.invalid:443']);
    expect(proxy.tunnelled).toEqual([TLS_HANDSHAKE]);
    expect((await gateway.rows(1))[0]).toMatchObject({ attributes: { status: 502 } });
  });

  it.each(['127.0.0.1', 'other.example, 127.0.0.1', '127.0.0.0/8', '*'])(
    'goes past it to what NO_PROXY names (%s)',
    async (noProxy) => {
      const [gateway, proxy] = await behindProxy(upstreamUrl, { noProxy });
      expect((await post(gateway)).status).toBe(200);
      expect(proxy.asked).toEqual([]);
    },
  );
});

describe("Azure's address", () => {
  it('with a version is asked with it, and with the key as api-key', async () => {
    const base = `${upstreamUrl.replace('/v1', '/openai/deployments/gpt4o/')}?api-version=2024-10-21`;
    const gateway = await start({ UPSTREAM_BASE_URL: base, UPSTREAM_API_KEY: 'azure-key' });
    expect((await post(gateway)).status).toBe(200);
    const [asked] = upstream.asked;
    expect(asked?.url).toBe('/openai/deployments/gpt4o/chat/completions?api-version=2024-10-21');
    expect(asked?.headers['api-key']).toBe('azure-key');
    expect(asked?.headers.authorization).toBeUndefined();
    const stream = await post(gateway, { stream: true });
    expect(await stream.text()).toContain('Hello');
    expect((await fetch(`${gateway.url}/v1/models`)).status).toBe(200);
    for (const { url, headers } of upstream.asked) {
      expect(url).toMatch(/\?api-version=2024-10-21$/);
      expect(headers['api-key']).toBe('azure-key');
    }
    const rows = await gateway.rows(3);
    for (const row of rows.slice(0, 2)) expect(row).toMatchObject(BOOKED);
    expect(rows[2]).toMatchObject({ prompt_tokens: 0, attributes: { endpoint: 'models' } });
  });

  it('knows a caller by an api-key as by a Bearer key, and passes neither on', async () => {
    const gateway = await start({
      UPSTREAM_BASE_URL: upstreamUrl,
      UPSTREAM_API_KEY: 'sk-upstream',
      GATEWAY_API_KEYS: `alice:laptop:${KEY}`,
    });
    expect((await post(gateway, { headers: { 'api-key': KEY } })).status).toBe(200);
    expect((await post(gateway, { headers: { 'api-key': `${KEY}x` } })).status).toBe(401);
    // Two keys that differ: the one that OpenAI's protocol names counts.
    const both = { authorization: `Bearer ${KEY}x`, 'api-key': KEY };
    expect((await post(gateway, { headers: both })).status).toBe(401);
    const [row] = await gateway.rows(1);
    expect(row).toMatchObject({ user_id: 'alice', api_key_id: 'laptop', ...BOOKED });
    expect(JSON.stringify(upstream.asked[0]?.headers)).not.toContain(KEY);
  });
});
