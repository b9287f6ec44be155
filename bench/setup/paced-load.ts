import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';

export interface PacedLoadOptions {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly connections: number;
  readonly perSecond: number;
  readonly seconds: number;
}

/** The results; times in milliseconds, from a request to the end of its answer. */
export interface PacedLoadResult {
  readonly times: readonly number[];
  /** Answers with another status than 200, and requests without one. */
  readonly others: number;
  readonly seconds: number;
}

/**
 * Sends requests at even intervals, to the timer's millisecond, whether or not earlier ones were
 * answered. autocannon keeps a rate by the second: each connection sends its share of a second as
 * fast as it can, all at once, and is then silent. That measures a queue.
 */
export async function pacedLoad(options: PacedLoadOptions): Promise<PacedLoadResult> {
  const { method, headers, body, perSecond, seconds } = options;
  const url = new URL(options.url);
  const pool = new Pool(url.origin, { connections: options.connections });
  const times: number[] = [];
  let others = 0;
  const ask = async (): Promise<void> => {
    const askedAt = performance.now();
    try {
      const answer = await pool.request({ method, path: url.pathname, headers, body });
      await answer.body.dump();
      if (answer.statusCode === 200) times.push(performance.now() - askedAt);
      else others += 1;
    } catch {
      others += 1;
    }
  };
  const asked: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let ms = 0; ms < seconds * 1000; ms = performance.now() - startedAt) {
    while (asked.length <= (ms / 1000) * perSecond) asked.push(ask());
    await delay(1);
  }
  await Promise.all(asked);
  const took = (performance.now() - startedAt) / 1000;
  await pool.close();
  return { times, others, seconds: took };
}
