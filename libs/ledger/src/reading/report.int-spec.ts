import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Logger } from '@nestjs/common';
import { openRollupBench, ownSchema } from '../rollup/fixtures/rollup-bench.fixture.js';
import type { RollupBench } from '../rollup/fixtures/rollup-bench.fixture.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import { createLedger } from '../create-ledger.js';
import { defineLedger, type LedgerDefinition } from '../define-ledger.js';
import { LedgerService } from '../ledger.service.js';
import { InMemoryLedger } from '../testing/in-memory-ledger.js';
import type { ReportRow } from '../ports/report-query.interface.js';

const usage = defineLedger({
  schema: ownSchema(),
  columns: {
    ...{ model: 'text', costNanos: 'bigint', status: 'integer' },
    ...{ price: 'numeric', dueAt: 'timestamptz', day: 'timestamptz' },
  },
  rollup: true,
});
/** On the Azores midnight occurs twice on 2026-10-25. */
const ZONES = [
  ...['UTC', 'Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Europe/Berlin'],
  'Atlantic/Azores',
];
const HOUR_MS = 3_600_000;

let bench: RollupBench;
let service: LedgerService<typeof usage>;
let close: () => Promise<void>;

beforeAll(async () => {
  bench = await openRollupBench(inject('databaseUrl'), usage);
  const options = resolveLedgerOptions({
    // Answers are independent of settings of a role or of the application's DataSource.
    connection: {
      url: inject('databaseUrl'),
      extra: { options: '-c DateStyle=German -c TimeZone=Asia/Kathmandu' },
    },
    flushMs: 600_000,
    spillDir: '.tmp/report-spill',
  });
  const made = createLedger(usage, options, new Logger('report'));
  await made.ledger.writer.start(() => undefined);
  service = new LedgerService(made.ledger, made.reader as never);
  close = async () => {
    await made.ledger.shutdown.finish();
    await made.ledger.sink.close();
  };
  // Every ten minutes of four days around each changeover, to cover all edges.
  await bench.client.query(
    `INSERT INTO ${bench.table} (uuid, user_id, prompt_tokens, completion_tokens, direction,
       created_at, model, cost_nanos)
     SELECT gen_random_uuid(), 1 + extract(minute FROM at)::int % 3, 3, 4, 'consume', at,
       CASE WHEN extract(hour FROM at)::int % 2 = 0 THEN 'a' END, 5
     FROM unnest(ARRAY['2026-03-28', '2026-04-03', '2026-10-02', '2026-10-24']::timestamptz[]) d,
       generate_series(d, d + interval '96 hours' - interval '1 second', interval '10 minutes') at`,
  );
});

afterAll(async () => {
  await close();
  await bench.close();
});

async function all(rows: AsyncIterable<ReportRow>): Promise<ReportRow[]> {
  const found: ReportRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

function inMemory<T extends LedgerDefinition>(definition: T): LedgerService<T> {
  const { ledger, reader } = new InMemoryLedger(definition, {});
  return new LedgerService<T>(ledger, reader as never);
}

/**
 * Records entries of a user into table and memory. @returns the report, which must be equal in both
 */
async function bothOf(
  userId: number,
  entries: readonly object[],
  asked: object,
): Promise<ReportRow[]> {
  const memory = inMemory(usage);
  const createdAt = new Date('2025-06-01T00:00:00Z');
  const query = { from: '2025-01-01', to: '2026-01-01', userId, ...asked };
  for (const ledger of [service, memory]) {
    ledger.recordMany(entries.map((entry) => ({ userId, createdAt, ...entry })));
    await ledger.flush();
  }
  const rows = await all(service.report(query));
  expect(await all(memory.report(query))).toEqual(rows);
  return rows;
}

describe('report', () => {
  const year = { from: '2026-01-01', to: '2027-01-01' };

  it('groups by periods of createdAt, also if a column has the name of one', async () => {
    const rows = await bothOf(31, [{ day: new Date('2024-02-29T12:00:00Z') }, {}], {
      groupBy: ['day', 'month'],
    });
    expect(rows).toMatchObject([{ day: '2025-06-01', month: '2025-06', entries: 2 }]);
  });

  it.each(ZONES)('has days and months of %s that add up to the period', async (timeZone) => {
    const [whole] = await all(service.report({ ...year, timeZone }));
    expect(whole).toMatchObject({ entries: 4 * 96 * 6, consumedTokens: 7 * 4 * 96 * 6 });
    for (const unit of ['hour', 'day', 'month'] as const) {
      const rows = await all(service.report({ ...year, timeZone, groupBy: [unit] }));
      const sum = rows.reduce((entries, row) => entries + row.entries, 0);
      expect(sum, unit).toBe(whole!.entries);
    }
    const days = await all(service.report({ ...year, timeZone, groupBy: ['day'] }));
    for (const { day, entries } of days) {
      const next = new Date(Date.parse(`${day}T00:00:00Z`) + 24 * HOUR_MS);
      const to = next.toISOString().slice(0, 10);
      const [single] = await all(service.report({ from: String(day), to, timeZone }));
      expect(single!.entries, `${timeZone} ${day}`).toBe(entries);
    }
  });

  it('counts 23 and 25 hours on the changeover days of Berlin, and distinguishes the double hour', async () => {
    const timeZone = 'Europe/Berlin';
    const hours = (from: string, to: string) =>
      all(service.report({ from, to, timeZone, groupBy: ['hour'] }));
    expect(await hours('2026-03-29', '2026-03-30')).toHaveLength(23);
    const long = (await hours('2026-10-25', '2026-10-26')).map(({ hour }) => hour);
    expect(long).toHaveLength(25);
    expect(long.slice(1, 5)).toEqual([
      '2026-10-25T01:00:00+02:00',
      '2026-10-25T02:00:00+02:00',
      '2026-10-25T02:00:00+01:00',
      '2026-10-25T03:00:00+01:00',
    ]);
  });

  it('begins a day at its first midnight if that occurs twice', async () => {
    const zoned = { timeZone: 'Atlantic/Azores' };
    const [day] = await all(service.report({ from: '2026-10-25', to: '2026-10-26', ...zoned }));
    expect(day!.entries).toBe(25 * 6);
  });

  it.each(['CET', 'EET', 'EST', '+02:00', 'Europe/Nowhere', 7])(
    'refuses %s, by which PostgreSQL would mean something else',
    async (timeZone) => {
      const query = { ...year, timeZone: timeZone as string };
      await expect(all(service.report(query))).rejects.toMatchObject({ field: 'timeZone' });
    },
  );

  it('keeps the requested period if the caller changes its Date', async () => {
    const from = new Date('2026-03-28');
    const rows = all(service.report({ from, to: '2027-01-01' }));
    const sum = service.summary({ from });
    from.setUTCFullYear(2027);
    expect((await rows)[0]!.entries).toBe(4 * 96 * 6);
    expect((await sum).entries).toBe(4 * 96 * 6);
  });

  it('ends a day at local midnight: 18:15 UTC in Kathmandu', async () => {
    const query = { from: '2026-03-29', to: '2026-03-30', timeZone: 'Asia/Kathmandu' };
    const from = new Date('2026-03-28T18:15:00Z');
    const to = new Date('2026-03-29T18:15:00Z');
    const [day] = await all(service.report(query));
    expect(day).toEqual((await all(service.report({ from, to })))[0]);
    // Lord Howe's clocks went back by half an hour: the day has 24.5 hours.
    const howe = { from: '2026-04-05', to: '2026-04-06', timeZone: 'Australia/Lord_Howe' };
    expect((await all(service.report(howe)))[0]!.entries).toBe(24.5 * 6);
  });

  it('groups by ids and declared columns, sums the requested columns, and returns null for NULL', async () => {
    const rows = await all(
      service.report({ ...year, userId: 1, groupBy: ['userId', 'model'], sum: ['costNanos'] }),
    );
    expect(rows.map(({ userId, model }) => [userId, model])).toEqual([
      ['1', 'a'],
      ['1', null],
    ]);
    expect(rows[0]!['costNanos']).toBe(String(rows[0]!.entries * 5));
  });

  it('spells times in UTC, in memory too', async () => {
    const dueAts = [new Date('1999-12-31T23:59:59.5Z'), new Date('2026-10-25T00:30:00Z'), null];
    const rows = await bothOf(
      81,
      dueAts.map((dueAt) => ({ dueAt })),
      {
        groupBy: ['dueAt'],
      },
    );
    expect(rows.map(({ dueAt }) => dueAt)).toEqual([
      '1999-12-31T23:59:59.500Z',
      '2026-10-25T00:30:00.000Z',
      null,
    ]);
  });

  it('adds up decimals exactly, in memory too', async () => {
    const sumOf = async (userId: number, ...prices: string[]): Promise<unknown> => {
      const entries = prices.map((price) => ({ price }));
      return (await bothOf(userId, entries, { sum: ['price'] }))[0]!['price'];
    };
    expect(await sumOf(82, '0.1', '0.20')).toBe('0.30');
    expect(await sumOf(83, '-12345678901234567890.5', '3')).toBe('-12345678901234567887.5');
    expect(await sumOf(84, '-0.07', '0.02')).toBe('-0.05');
    expect(await sumOf(85, '7', '-9')).toBe('-2');
  });

  it('returns the state at a time, without entries written later', async () => {
    const { rows } = await bench.client.query<{ at: Date }>('SELECT clock_timestamp() AS at');
    const writtenBefore = rows[0]!.at;
    const month = { from: '2026-02-01', to: '2026-03-01' };
    const createdAt = new Date('2026-02-14T00:00:00Z');
    await service.recordAndWait({ userId: 7, promptTokens: 11, createdAt });
    const [now] = await all(service.report(month));
    const [then] = await all(service.report({ ...month, writtenBefore }));
    expect([now!.consumedTokens, then!.consumedTokens]).toEqual([11, 0]);
  });

  it('holds one connection while it is read, and returns it when the reader leaves', async () => {
    for (let i = 0; i < 8; i++) {
      const rows = service.report({ ...year, groupBy: ['hour', 'userId'] });
      expect((await rows.next()).done).toBe(false);
      await rows.return();
    }
    expect((await service.summary()).entries).toBeGreaterThan(0);
  });

  it.each([
    [{ from: '2026-02-30', to: '2026-03-01' }, 'from'],
    [{ ...year, timeZone: 'Mars/Base' }, 'timeZone'],
    [{ ...year, timeZone: '+02:00' }, 'timeZone'],
    [{ ...year, groupBy: ['week'] }, 'groupBy'],
    [{ ...year, sum: ['model'] }, 'sum'],
    [{ ...year, user: 1 }, '"user"'],
  ])('refuses %j', async (query, field) => {
    await expect(all(service.report(query as never))).rejects.toMatchObject({
      reason: 'invalid',
      field,
    });
  });

  it('is equal in memory, for unit tests', async () => {
    const definition = defineLedger({ columns: { model: 'text', costNanos: 'bigint' } });
    const memory = inMemory(definition);
    const entries = await bench.client.query<Record<string, string> & { created_at: Date }>(
      `SELECT * FROM ${bench.table} WHERE created_at >= '2026-03-01'`,
    );
    for (const row of entries.rows) {
      memory.record({
        userId: row['user_id']!,
        promptTokens: Number(row['prompt_tokens']),
        completionTokens: Number(row['completion_tokens']),
        createdAt: row.created_at,
        model: row['model'],
        costNanos: row['cost_nanos'],
      });
    }
    const period = { from: '2026-03-28', to: '2026-12-01' };
    for (const timeZone of ZONES) {
      for (const groupBy of [['hour', 'model'], ['day'], ['month', 'userId']] as never[]) {
        const query = { ...period, timeZone, groupBy, sum: ['costNanos'] as const, fresh: true };
        expect(await all(memory.report(query as never)), timeZone).toEqual(
          await all(service.report(query as never)),
        );
      }
    }
  });
});

describe('reads that must be fresh', () => {
  it('include entries recorded before, although no batch was due', async () => {
    service.record({ userId: 40, promptTokens: 5 });
    expect((await service.summary({ userId: 40 })).entries).toBe(0);
    expect((await service.summary({ userId: 40, fresh: true })).entries).toBe(1);
    service.record({ userId: 40, promptTokens: 5 });
    expect((await service.listRecent({ userId: 40, fresh: true })).entries).toHaveLength(2);
  });
});

describe('reverse', () => {
  it('books the opposite once, at the same time, for any number of calls by any caller', async () => {
    const createdAt = new Date('2026-01-10T10:00:00Z');
    const entry = { userId: 50, promptTokens: 9, completionTokens: 2, createdAt, model: 'a' };
    const declared = { costNanos: 70, status: 200 };
    const { uuid } = await service.recordAndWait({ ...entry, ...declared, attributes: { a: 1 } });
    const reverse = (reason: string) => service.reverse(uuid, { reason, keep: ['status'] });
    const outcomes = await Promise.all([reverse('wrong'), reverse('wrong')]);
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['duplicate', 'written']);
    expect((await reverse('another reason')).outcome).toBe('duplicate');
    const { consumedTokens, entries } = await service.summary({ userId: 50 });
    expect({ consumedTokens, entries }).toEqual({ consumedTokens: 0, entries: 2 });
    const { rows } = await bench.client.query(
      `SELECT sum(prompt_tokens)::int AS tokens, sum(cost_nanos)::int AS cost, min(status) AS status,
         max(memo) AS memo, count(corrects)::int AS corrections,
         count(model)::int AS models, count(attributes)::int AS attributes
       FROM ${bench.table} WHERE user_id = 50`,
    );
    const sums = { tokens: 0, cost: 0, status: 200, memo: 'wrong' };
    expect(rows).toEqual([{ ...sums, corrections: 1, models: 2, attributes: 1 }]);
  });

  it('does not change an invoiced period if booked now', async () => {
    const createdAt = new Date('2026-01-11T10:00:00Z');
    const entry = { userId: 53, promptTokens: 7, costNanos: 70, createdAt };
    const { uuid } = await service.recordAndWait(entry);
    const month = { userId: 53, from: new Date('2026-01-01'), to: new Date('2026-02-01') };
    const closed = await service.summary(month);
    const before = Date.now();
    const reverse = () => service.reverse(uuid, { reason: 'refund', bookedAt: 'now' });
    const outcomes = await Promise.all([reverse(), reverse()]);
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['duplicate', 'written']);
    // With any options, an entry is reversed once.
    expect((await service.reverse(uuid, { reason: 'again' })).outcome).toBe('duplicate');
    expect({ ...(await service.summary(month)), asOf: closed.asOf }).toEqual(closed);
    expect(await service.summary({ userId: 53 })).toMatchObject({ consumedTokens: 0, entries: 2 });
    const { entries } = await service.listRecent({ userId: 53, limit: 1 });
    expect(entries[0]).toMatchObject({ corrects: uuid, costNanos: '-70', memo: 'refund' });
    expect(Date.parse(entries[0]!.createdAt)).toBeGreaterThanOrEqual(before);
  });

  it('names the column whose amount has no opposite, and keeps it if requested', async () => {
    const { uuid } = await service.recordAndWait({ userId: 52, status: -(2 ** 31) });
    const refused = service.reverse(uuid, { reason: 'wrong' });
    await expect(refused).rejects.toMatchObject({ code: 'LEDGER_ENTRY_INVALID', field: 'status' });
    const kept = await service.reverse(uuid, { reason: 'wrong', keep: ['status'] });
    expect(kept.outcome).toBe('written');
  });

  it('reverses an entry that is still in the channel, and no missing entry', async () => {
    const uuid = '018f3a1e-7c4b-7d2a-9b1c-2f3e4d5c6b7a';
    service.record({ userId: 51, promptTokens: 1, uuid });
    expect((await service.reverse(uuid, { reason: 'at once' })).outcome).toBe('written');
    const unknown = service.reverse('018f3a1e-7c4b-7d2a-9b1c-2f3e4d5c6bff', { reason: 'x' });
    await expect(unknown).rejects.toMatchObject({ reason: 'invalid', field: 'uuid' });
  });
});
