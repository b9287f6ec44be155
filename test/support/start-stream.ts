import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, vi } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const START_MS = 120_000;

/** `npm run start:stream`, and what it said. */
export class StartStream {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown[]>;
  said = '';

  constructor(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, ['scripts/start-stream.js', ...args], {
      cwd: ROOT,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exited = once(this.#child, 'close');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream!.setEncoding('utf8').on('data', (text: string) => (this.said += text));
    }
  }

  /** What it says about something. */
  async says(what: RegExp): Promise<string> {
    await vi.waitFor(() => {
      expect(this.#child.exitCode, this.said).toBeNull();
      expect(this.said).toMatch(what);
    }, START_MS);
    return what.exec(this.said)![1]!;
  }

  /** @returns its exit code */
  async stop(): Promise<unknown> {
    this.#child.kill('SIGTERM');
    return this.code();
  }

  async code(): Promise<unknown> {
    const [code] = await this.#exited;
    return code;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function translate(gateway: string, user: number): Promise<unknown> {
  const response = await fetch(`${new URL(gateway).origin}/translations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user, text: 'good day' }),
  });
  return response.json();
}

/** Starts it, has a call of each gateway in the table, and finds nothing left when it is stopped. */
export async function metersAndStops(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  const stream = new StartStream(args, environment);
  try {
    await stream.says(/(Ctrl-C ends everything)/);
    const gateways = [1, 2].map(
      (i) => new RegExp(`gateway-${i} +(http\\S+)`).exec(stream.said)![1]!,
    );
    const url = await stream.says(/(postgres:\/\/\S+)/);
    for (const [i, gateway] of gateways.entries()) {
      const user = i + 1;
      const answer = { user, words: 2, text: 'GOOD DAY' };
      expect(await translate(gateway, user)).toEqual(answer);
    }
    const sql = 'SELECT user_id, completion_tokens FROM usage_entries ORDER BY user_id';
    await vi.waitFor(async () => {
      expect(await query(url, sql)).toEqual([
        { user_id: '1', completion_tokens: 2 },
        { user_id: '2', completion_tokens: 2 },
      ]);
    }, 30_000);
    const [{ data_directory: data } = {}] = await query(url, 'SHOW data_directory');
    expect(await stream.stop(), stream.said).toBe(0);
    expect(stream.said).toMatch(/gateway-1 \| .*drained/);
    expect(stream.said).toMatch(/writer \| .*drained/);
    expect(existsSync(dirname(data as string))).toBe(false);
    for (const gateway of gateways) await expect(fetch(gateway)).rejects.toThrow('fetch failed');
    await expect(query(url, 'SELECT')).rejects.toThrow('ECONNREFUSED');
  } finally {
    stream.kill();
  }
}
