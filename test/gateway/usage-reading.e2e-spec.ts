import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { MeteredGateway } from '../support/metered-gateway.js';
import { PATIENCE } from '../support/patience.js';

const ALICE = 'sk-alice-0123456789';
const BOB = 'sk-bob-0123456789';
const YEAR = 'from=2025-01-01&to=2026-01-01';
/** Groups of a report whose answer is far above what sockets and streams hold on the way. */
const MANY = 60_000;

let gateway: MeteredGateway;

beforeAll(async () => {
  gateway = await MeteredGateway.start({
    GATEWAY_API_KEYS: `alice:laptop:${ALICE},bob:ci:${BOB}`,
  });
});

beforeEach(() => gateway.forget());
afterAll(() => gateway.stop());

async function book(userId: string, model: string, at = '2025-06-01T12:00:00Z'): Promise<void> {
  await gateway.query(
    `INSERT INTO usage_entries
       (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at, model)
     VALUES (gen_random_uuid(), $1, 3, 4, 'consume', $2, $3)`,
    [userId, at, model],
  );
}

function get(path: string, key = ALICE): Promise<Response> {
  const headers = { authorization: `Bearer ${key}` };
  return fetch(`${gateway.url}/v1/usage/${path}`, { headers });
}

async function csv(query: string, key = ALICE): Promise<string> {
  const response = await get(`report.csv?${query}`, key);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  return response.text();
}

describe('A caller with a key', () => {
  it('need not say whose usage it reads', async () => {
    await book('alice', 'gpt-4o');
    await book('bob', 'gpt-4o');
    expect(await (await get('summary')).json()).toMatchObject({ consumedTokens: 7, entries: 1 });
    const { entries } = (await (await get('entries')).json()) as { entries: { userId: string }[] };
    expect(entries.map(({ userId }) => userId)).toEqual(['alice']);
    const head = 'userId,consumedTokens,suppliedTokens,netTokens,entries\r\n';
    expect(await csv(`${YEAR}&groupBy=userId`)).toBe(`${head}alice,7,0,-7,1\r\n`);
    expect(await csv(`${YEAR}&groupBy=userId`, BOB)).toBe(`${head}bob,7,0,-7,1\r\n`);
  });

  it.each(['summary?', 'entries?', `report.csv?${YEAR}&`])(
    'may not read %s of another user',
    async (path) => {
      const answer = await get(`${path}userId=bob`);
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ error: { param: 'userId' } });
      const twice = await get(`${path}userId=alice&userId=bob`);
      expect(twice.status).toBe(400);
      expect((await get(`${path}userId=bob`, BOB)).status).toBe(200);
    },
  );
});

describe('GET /v1/usage/report.csv', () => {
  it('quotes what CSV must, and gives a spreadsheet no formula', async () => {
    for (const model of ['a,"b"', '=HYPERLINK("//x")', '@x', '+1 2', 'two\nlines', '-7', 'ü']) {
      await book('alice', model);
    }
    const lines = (await csv(`${YEAR}&groupBy=model&sum=costNanos`)).split('\r\n');
    const figures = '7,0,-7,1,';
    expect(lines.shift()).toBe('model,consumedTokens,suppliedTokens,netTokens,entries,costNanos');
    expect(lines.pop()).toBe('');
    expect(lines.sort()).toEqual(
      [
        `"a,""b""",${figures}`,
        `"'=HYPERLINK(""//x"")",${figures}`,
        `'@x,${figures}`,
        `'+1 2,${figures}`,
        `"two\nlines",${figures}`,
        `-7,${figures}`,
        `ü,${figures}`,
      ].sort(),
    );
  });

  it('has the days of a time zone, on a changeover day too', async () => {
    // In Berlin 30 March 2025 is 23 hours long, from 23:00Z of the day before to 22:00Z.
    for (const at of ['29T22:59:59', '29T23:00:00', '30T21:59:59', '30T22:00:00']) {
      await book('alice', 'gpt-4o', `2025-03-${at}Z`);
    }
    const days = 'from=2025-03-29&to=2025-04-01&groupBy=day';
    const body = (await csv(`${days}&timeZone=Europe/Berlin`)).split('\r\n').slice(1, -1);
    expect(body).toEqual(['2025-03-29,7,0,-7,1', '2025-03-30,14,0,-14,2', '2025-03-31,7,0,-7,1']);
    const inUtc = (await csv(days)).split('\r\n').slice(1, -1);
    expect(inUtc).toEqual(['2025-03-29,14,0,-14,2', '2025-03-30,14,0,-14,2']);
  });

  it('may be asked for again as soon as the one before is there', async () => {
    for (let report = 0; report < 40; report++) await csv(`${YEAR}&groupBy=day`);
  });

  it.each([
    ['groupBy=day', 'from'],
    [`${YEAR}&groupBy=nothing`, 'groupBy'],
    [`${YEAR}&groupBy=model"--`, 'groupBy'],
    [`${YEAR}&groupBy=day&timeZone=Mars/Olympus`, 'timeZone'],
  ])('refuses %s with 400 as JSON, and names %s', async (query, field) => {
    const answer = await get(`report.csv?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toContain('application/json');
    expect(((await answer.json()) as any).error.param).toContain(field);
  });

  it('is unread by one caller and holds neither a connection nor anybody else', async () => {
    await gateway.query(
      `INSERT INTO usage_entries
         (uuid, user_id, prompt_tokens, completion_tokens, direction, created_at, model)
       SELECT gen_random_uuid(), 'alice', 3, 4, 'consume', '2025-06-01',
              lpad(n::text, 300, 'm') FROM generate_series(1, ${MANY}) n`,
    );
    const path = `/v1/usage/report.csv?${YEAR}&groupBy=model`;
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${ALICE}\r\n\r\n`,
    );
    await once(socket, 'readable');
    // Nobody reads on, and no cursor of the database waits for it.
    expect(await openReports()).toBe(0);
    expect(await csv(`${YEAR}&groupBy=userId`, BOB)).toBe('');
    const second = await get(`report.csv?${YEAR}`);
    expect(second.status).toBe(429);
    expect(await second.json()).toMatchObject({ error: { code: 'report_running' } });
    expect((await get('summary')).status).toBe(200);
    socket.destroy();
    const read = () => csv(`${YEAR}&groupBy=model`);
    const lines = (await vi.waitFor(read, PATIENCE)).trimEnd().split('\r\n');
    expect(lines).toHaveLength(MANY + 1);
    expect(new Set(lines).size).toBe(MANY + 1);
  });

  it('sums what is priced apart', async () => {
    for (const [cached, reasoning, cost] of [
      [100, 7, 5_000],
      [20, null, null],
    ]) {
      await gateway.query(
        `INSERT INTO usage_entries (uuid, user_id, prompt_tokens, completion_tokens, direction,
           created_at, model, cache_read_tokens, reasoning_tokens, cost_nanos, price_version)
         VALUES (gen_random_uuid(), 'alice', 200, 50, 'consume', '2025-06-01', 'm', $1, $2, $3, 'v1')`,
        [cached, reasoning, cost],
      );
    }
    const sums = 'costNanos,cacheReadTokens,reasoningTokens';
    expect(await csv(`${YEAR}&groupBy=priceVersion&sum=${sums}`)).toBe(
      `priceVersion,consumedTokens,suppliedTokens,netTokens,entries,${sums}\r\nv1,500,0,-500,2,5000,120,7\r\n`,
    );
  });

  it('goes on when a client leaves that asked for a report behind a call still under way', async () => {
    const body = JSON.stringify({
      model: 'gpt-4o',
      stream: true,
      messages: [{ role: 'user', content: 'word '.repeat(200_000) }],
    });
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1').on('error', () => {});
    const head = `host: localhost\r\nauthorization: Bearer ${ALICE}\r\n`;
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\n${head}content-type: application/json\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}` +
        `GET /v1/usage/report.csv?${YEAR} HTTP/1.1\r\n${head}\r\n`,
    );
    // The call's answer, which is not read further; the report waits behind it.
    await once(socket, 'readable');
    await vi.waitFor(
      async () => expect((await get(`report.csv?${YEAR}`)).status).toBe(429),
      PATIENCE,
    );
    socket.destroy();
    await vi.waitFor(
      async () => expect((await get(`report.csv?${YEAR}`)).status).toBe(200),
      PATIENCE,
    );
  });
});

/** Reports of any gateway that wait for their reader. */
async function openReports(): Promise<number> {
  const [row] = await gateway.query(
    `SELECT count(*)::int AS open FROM pg_stat_activity
      WHERE state = 'idle in transaction' AND query LIKE 'FETCH % FROM nestjs_ledger_%'`,
  );
  return row.open;
}
