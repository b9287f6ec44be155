import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterEach, describe, expect, inject, it } from 'vitest';
import {
  openRollupBench,
  ownSchema,
  type RollupBench,
} from '../../../../../test/support/rollup-bench.js';
import { defineLedger } from '../../define-ledger.js';
import type { SummaryQuery, UsageSummary } from '../read-query.interface.js';
import type { RollupPass } from './rollup-pass.js';

const STEPS = 60;
const CHECKS = 4;
const HOUR_MS = 3_600_000;

/** A generator of numbers that a failure can be repeated with. Source: mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One random history of one ledger. */
class History {
  readonly #held: pg.Client[] = [];
  readonly #passes: RollupPass[];

  constructor(
    private readonly bench: RollupBench,
    private readonly random: () => number,
  ) {
    const stepMs = HOUR_MS * this.#pick([6, 100, 1000]);
    const spans = { spanEntries: this.#pick([1, 2, 3]), fanOut: this.#pick([2, 3]) };
    const one = { stepMs, spans };
    const grained = { ...one, grainedMs: 365 * 24 * HOUR_MS };
    this.#passes = [bench.pass(one), bench.pass(grained), bench.pass({ spans })];
  }

  async step(): Promise<void> {
    const roll = this.random();
    const { client } = this.bench;
    if (roll < 0.25) await this.#insert(client, 1 + this.#below(12));
    else if (roll < 0.35) await this.#change(client);
    else if (roll < 0.42) await this.#begin();
    else if (roll < 0.55) await this.#goOn();
    else if (roll < 0.57) await this.#truncate();
    else if (roll < 0.65) await Promise.all(this.#passes.map((pass) => pass.run()));
    else await this.#pick(this.#passes).run();
  }

  async end(): Promise<void> {
    for (const client of this.#held.splice(0)) await client.query('COMMIT');
  }

  /** Spans that do not begin where the one before them ends: there must be none. */
  async brokenLines(): Promise<unknown[]> {
    const { rows } = await this.bench.client.query<object>(
      `SELECT * FROM (
         SELECT series, level, key, lo, hi, lag(hi, 1, '-infinity') OVER
           (PARTITION BY series, level, key ORDER BY hi) AS before
         FROM (SELECT DISTINCT series, level, key, lo, hi FROM ${this.bench.names.sqlRollups}) s
       ) l WHERE lo <> before OR lo >= hi`,
    );
    return rows;
  }

  async levels(): Promise<number> {
    const { rows } = await this.bench.client.query<{ levels: string }>(
      `SELECT count(DISTINCT level) AS levels FROM ${this.bench.names.sqlRollups}`,
    );
    return Number(rows[0]!.levels);
  }

  /** The plain SUM, by SQL of its own. */
  async plain(query: SummaryQuery<(typeof usage)[number]>): Promise<unknown> {
    const { userId, apiKeyId, serviceId, model, from, to } = query;
    const values = [userId, apiKeyId, serviceId, model, from, to].map((each) => each ?? null);
    const { rows } = await this.bench.client.query<Record<string, string>>(
      `SELECT coalesce(sum(t) FILTER (WHERE direction = 'consume'), 0) AS consumed,
         coalesce(sum(t) FILTER (WHERE direction = 'supply'), 0) AS supplied, count(*) AS entries
       FROM (SELECT *, prompt_tokens::bigint + completion_tokens AS t FROM ${this.bench.table}
         WHERE ($1::bigint IS NULL OR user_id = $1) AND ($2::bigint IS NULL OR api_key_id = $2)
         AND ($3::bigint IS NULL OR service_id = $3) AND ($4::text IS NULL OR model = $4)
         AND ($5::timestamptz IS NULL OR created_at >= $5)
         AND ($6::timestamptz IS NULL OR created_at < $6)) AS rows`,
      values,
    );
    const [consumed, supplied, entries] = Object.values(rows[0]!).map(Number);
    return {
      consumedTokens: consumed,
      suppliedTokens: supplied,
      netTokens: supplied! - consumed!,
      entries,
    };
  }

  query(): SummaryQuery<(typeof usage)[number]> {
    const maybe = <T>(share: number, value: T): T | undefined =>
      this.random() < share ? value : undefined;
    const [from, to] = [this.#moment(), this.#moment()].sort((a, b) => a.getTime() - b.getTime());
    return {
      userId: maybe(0.6, 1 + this.#below(3)),
      apiKeyId: maybe(0.3, 1 + this.#below(2)),
      serviceId: maybe(0.2, 1),
      model: maybe(0.2, this.#pick(['a', 'b'])),
      from: maybe(0.7, from),
      to: maybe(0.7, to),
    };
  }

  /** Within the last 100 days, often at the edge of a bucket, sometimes a while ahead. */
  #moment(): Date {
    const agoMs = this.#pick([1, 24, 24 * 3, 24 * 100]) * HOUR_MS * this.random();
    const moment = Date.now() - agoMs + (this.random() < 0.05 ? 12 * HOUR_MS : 0);
    const unit = this.#pick([1, 1, 900_000, HOUR_MS, 24 * HOUR_MS]);
    return new Date(Math.floor(moment / unit) * unit - (this.random() < 0.1 ? 1 : 0));
  }

  async #insert(client: pg.Client, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const isCorrection = this.random() < 0.15;
      const odd = this.#pick(['-infinity', 'infinity', '1999-05-05T00:00:00Z']);
      await client.query(
        `INSERT INTO ${this.bench.table} (uuid, user_id, api_key_id, service_id, prompt_tokens,
           completion_tokens, direction, corrects, created_at, model)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        [
          randomUUID(),
          1 + this.#below(3),
          this.#pick([null, 1, 2]),
          this.#pick([null, 1]),
          this.#below(1000) * (isCorrection ? -1 : 1),
          this.#below(1000),
          this.#pick(['consume', 'supply']),
          isCorrection ? randomUUID() : null,
          this.random() < 0.03 ? odd : this.#moment(),
          this.#pick([null, 'a', 'b']),
        ],
      );
    }
  }

  async #change(client: pg.Client): Promise<void> {
    const { table } = this.bench;
    const some = `uuid IN (SELECT uuid FROM ${table} ORDER BY random()
      LIMIT ${1 + this.#below(8)} FOR UPDATE SKIP LOCKED)`;
    const moment = this.#moment().toISOString();
    const statement = this.#pick([
      `UPDATE ${table} SET prompt_tokens = ${this.#below(500)} WHERE ${some}`,
      `UPDATE ${table} SET user_id = ${1 + this.#below(3)}, model = 'b' WHERE ${some}`,
      `UPDATE ${table} SET created_at = '${moment}', direction = 'supply' WHERE ${some}`,
      `UPDATE ${table} SET written_at = now() WHERE ${some}`,
      `UPDATE ${table} SET memo = 'no figure' WHERE ${some}`,
      `DELETE FROM ${table} WHERE ${some}`,
    ]);
    await client.query(statement);
  }

  async #begin(): Promise<void> {
    if (this.#held.length >= 3) return;
    const client = await this.bench.connect();
    await client.query('BEGIN');
    this.#held.push(client);
    if (this.random() < 0.5) await this.#insert(client, 2);
  }

  async #goOn(): Promise<void> {
    const client = this.#held[this.#below(this.#held.length)];
    if (!client) return;
    if (this.random() < 0.5) {
      return this.random() < 0.5 ? this.#insert(client, 3) : this.#change(client);
    }
    this.#held.splice(this.#held.indexOf(client), 1);
    await client.query(this.random() < 0.8 ? 'COMMIT' : 'ROLLBACK');
  }

  async #truncate(): Promise<void> {
    if (this.#held.length > 0 || this.random() < 0.5) return;
    await this.bench.client.query(`TRUNCATE ${this.bench.table}`);
  }

  #below(end: number): number {
    return Math.floor(this.random() * end);
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#below(values.length)]!;
  }
}

const usage = [1, 2, 3, 4].map((seed) =>
  defineLedger({
    schema: ownSchema(),
    name: `seed-${seed}`,
    columns: { model: 'text' },
    rollup: { dimensions: ['model'] },
  }),
);

const deep = defineLedger({
  schema: ownSchema(),
  columns: { model: 'text' },
  rollup: { dimensions: ['model'] },
});

describe('summary from rollups', () => {
  let bench: RollupBench | undefined;
  afterEach(() => bench?.close());

  it.each(usage.map((_, index) => index))(
    'equals the plain SUM at every moment of random history %i',
    async (index) => {
      bench = await openRollupBench(inject('databaseUrl'), usage[index]!);
      const seed = Number(process.env['LEDGER_ROLLUP_SEED'] ?? Date.now() % 1e9) + index;
      const history = new History(bench, seeded(seed));
      const check = async (): Promise<void> => {
        for (let i = 0; i < CHECKS; i++) {
          const query = history.query();
          const found: Partial<UsageSummary> = {
            ...(await bench!.reader.summary(query as object)),
          };
          delete (found as { asOf?: string }).asOf;
          const about = `seed ${seed}: ${JSON.stringify(query)}`;
          expect(found, about).toEqual(await history.plain(query));
        }
      };
      for (let step = 0; step < STEPS; step++) {
        await history.step();
        await check();
      }
      await history.end();
      await bench.settle();
      await check();
      expect(await history.brokenLines()).toEqual([]);
      expect(bench.notices).toEqual([]);
      expect((await bench.closedBefore())!.getTime()).toBeGreaterThan(Date.now() - HOUR_MS);
    },
    60_000,
  );

  it('equals it where spans are on all levels, and late entries fill one', async () => {
    bench = await openRollupBench(inject('databaseUrl'), deep);
    const history = new History(bench, seeded(1));
    const spans = { spanEntries: 2, fanOut: 2 };
    const fold = async (): Promise<void> => {
      const pass = bench!.pass({ spans });
      for (let looks = 0, isBehind = true; isBehind || looks < 2; looks++) {
        ({ isBehind } = await pass.run());
      }
    };
    const insert = (from: string, minutes: number): Promise<unknown> =>
      bench!.client.query(
        `INSERT INTO ${bench!.table} (uuid, user_id, api_key_id, prompt_tokens, completion_tokens,
           direction, created_at)
         SELECT gen_random_uuid(), 1 + n % 2, 1 + n % 3, n, 0, 'consume',
           timestamptz '${from}' + n * interval '${minutes} minutes' FROM generate_series(1, 200) n`,
      );
    await insert('2026-01-01Z', 60);
    await fold();
    // All late, and all in one span of the time before.
    await insert('2025-01-01Z', 1);
    await fold();
    expect(await history.levels()).toBe(5);
    expect(await history.brokenLines()).toEqual([]);
    for (const userId of [1, 2, undefined]) {
      for (let hour = 0; hour < 200; hour += 23) {
        const [from, to] = [new Date(Date.UTC(2025, 0, 1, 0, hour)), Date.UTC(2026, 0, 1, hour)];
        const query = { userId, from, to: new Date(to) };
        const found = await bench.reader.summary(query);
        expect(found).toMatchObject((await history.plain(query)) as object);
      }
    }
  });
});
