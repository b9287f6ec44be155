import pg from 'pg';
import { tableOf } from './entries.js';
import type { Probe } from './writer.js';

const LOOK_EVERY_MS = 5;
const LONGEST_LOOK_MS = 30_000;

/** Checks repeatedly which probes are visible. */
export class ProbeWatch {
  readonly #waiting = new Map<string, number>();
  readonly #lags: number[] = [];
  #isOver = false;
  /** Pid of the server process that answers the checks; undefined before the first. */
  pid: number | undefined;

  add({ uuid, at }: Probe): void {
    this.#waiting.set(uuid, at);
  }

  async look(url: string): Promise<void> {
    const client = new pg.Client(url);
    await client.connect();
    const { rows: own } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    this.pid = own[0]!.pid;
    const sql = `SELECT uuid FROM ${tableOf('small')} WHERE uuid = ANY($1::uuid[])`;
    const giveUpAt = performance.now() + 2 * LONGEST_LOOK_MS;
    while (!this.#isOver || this.#waiting.size > 0) {
      if (performance.now() > giveUpAt) throw new Error('a probe never became visible');
      const asked = [...this.#waiting.keys()];
      const { rows } = await client.query<{ uuid: string }>(sql, [asked]);
      const now = Date.now();
      for (const { uuid } of rows) {
        this.#lags.push(now - this.#waiting.get(uuid)!);
        this.#waiting.delete(uuid);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    await client.end();
  }

  async finish(looking: Promise<void>): Promise<number[]> {
    this.#isOver = true;
    await looking;
    return this.#lags;
  }
}
