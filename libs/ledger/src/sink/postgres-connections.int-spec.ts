import { PgConnections } from '../postgres/pg-connections.js';
import type { WriteStrategy } from '../ports/ledger-settings.interface.js';
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import type { DataSource } from 'typeorm';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../postgres/fixtures/tcp-proxy.fixture.js';
import { createLedgerDatabase, type LedgerDatabase } from './fixtures/ledger-database.fixture.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { rowBatch } from '../sink-kit/sink-trial.js';
import type { RowBatch, WriteAttempt } from '../ports/ledger-sink.interface.js';
import { PostgresSink } from './postgres.sink.js';

const ATTEMPT: WriteAttempt = { timeoutMs: 5000, isAwaited: false, mayExist: false };
const AGAIN: WriteAttempt = { ...ATTEMPT, mayExist: true };
const SHORT: WriteAttempt = { ...ATTEMPT, timeoutMs: 400 };
/** So long that the server's limit, a share of it, ends well before it on a busy machine. */
const LOCKED: WriteAttempt = { ...ATTEMPT, timeoutMs: 3_000 };
const STRATEGIES = ['copy', 'insert'] as const;
const MIB = 1_048_576;

let database: LedgerDatabase;
let proxy: TcpProxy;
let sinks: PostgresSink[];
let unlocks: (() => Promise<void>)[];

beforeEach(async () => {
  database = await createLedgerDatabase(inject('databaseUrl'));
  proxy = await startTcpProxy(database.url);
  sinks = [];
  unlocks = [];
});
afterEach(async () => {
  for (const unlock of unlocks) await unlock();
  await Promise.all(sinks.map((sink) => sink.close()));
  await proxy.close();
  await database.drop();
});

/** Named after the schema, so that its backends can be found. */
function makeSink(
  strategy: WriteStrategy = 'copy',
  options: { url?: string; dataSource?: DataSource } = {},
): PostgresSink {
  const { url = database.url } = options;
  const own = { url, applicationName: database.schema, connectTimeoutMS: 1000, poolSize: 2 };
  const dataSource = options.dataSource ?? database.dataSource(own);
  const sink = new PostgresSink({
    connections: new PgConnections({
      dataSource: () => dataSource,
      ownsDataSource: options.dataSource === undefined,
    }),
    closesConnections: true,
    table: database.table,
    strategy,
    prepare: async () => {},
    onNotice: () => {},
  });
  sinks.push(sink);
  return sink;
}

/** A batch of about this many bytes. */
function largeBatch(bytes: number, memoBytes = 4000): RowBatch {
  const memo = 'x'.repeat(memoBytes);
  const rows: Buffer[] = [];
  for (let sum = 0; sum < bytes; sum += rows.at(-1)!.length) {
    rows.push(database.row({ uuid: randomUUID(), memo }));
  }
  return rowBatch(rows, Math.ceil(MIB / memoBytes));
}

/** Bytes written to sockets meanwhile, for each turn of the event loop that wrote any. */
async function bytesPerTurn(work: () => Promise<unknown>): Promise<number[]> {
  const turns: number[] = [];
  const write = vi.spyOn(Socket.prototype, 'write');
  const end = (): void => {
    const sent = write.mock.calls.splice(0).map(([bytes]) => bytes.length);
    if (sent.length > 0) turns.push(sent.reduce((sum, bytes) => sum + bytes));
    timer = setImmediate(end);
  };
  let timer = setImmediate(end);
  await work();
  clearImmediate(timer);
  write.mockRestore();
  return turns;
}

async function count(): Promise<number> {
  const [row] = await database.sql<{ n: string }>('SELECT count(*) AS n FROM $T');
  return Number(row!.n);
}

/** Active server processes of the sinks. */
async function busyBackends(): Promise<number[]> {
  const rows = await database.sql<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity
     WHERE application_name = '${database.schema}' AND state <> 'idle'`,
  );
  return rows.map(({ pid }) => pid);
}

async function until<T>(find: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 500; i += 1) {
    const found = await find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('did not come about within 5 s');
}

async function transient(
  work: Promise<unknown>,
): Promise<{ outcomeKnown: boolean; sqlState: string | undefined }> {
  const error: unknown = await work.then(
    () => new Error('was written'),
    (reason: unknown) => reason,
  );
  if (!isLedgerError(error, 'SINK_TRANSIENT')) throw error;
  return { outcomeKnown: error.outcomeKnown, sqlState: error.sqlState };
}

async function lockTable(): Promise<() => Promise<void>> {
  const runner = database.admin.createQueryRunner();
  await runner.startTransaction();
  await runner.query(`LOCK TABLE "${database.schema}".usage_entries`);
  const unlock = async (): Promise<void> => {
    if (runner.isReleased) return;
    await runner.rollbackTransaction();
    await runner.release();
  };
  unlocks.push(unlock);
  return unlock;
}

describe.each(STRATEGIES)('a lock held on the table (%s)', (strategy) => {
  it("reaches the server's limit first, and leaves no backend", async () => {
    const sink = makeSink(strategy);
    await sink.ping(ATTEMPT.timeoutMs);
    const unlock = await lockTable();
    for (let i = 0; i < 3; i += 1) {
      const told = await transient(sink.write(largeBatch(1000), LOCKED));
      expect(told).toEqual({ outcomeKnown: true, sqlState: '55P03' });
      expect(await busyBackends()).toEqual([]);
    }
    await unlock();
    await sink.write(largeBatch(1000), ATTEMPT);
    expect(await count()).toBe(1);
  });

  it('on another writer’s uncommitted row makes no entry a poison entry', async () => {
    const sink = makeSink(strategy);
    const uuid = randomUUID();
    const runner = database.admin.createQueryRunner();
    await runner.startTransaction();
    await runner.query(
      `INSERT INTO "${database.schema}".usage_entries (uuid, user_id, prompt_tokens,
       completion_tokens, direction, created_at) VALUES ('${uuid}', 1, 0, 0, 'consume', now())`,
    );
    const batch = rowBatch([database.row({ uuid: randomUUID() }), database.row({ uuid })]);
    await sink.ping(ATTEMPT.timeoutMs);
    for (const attempt of [LOCKED, { ...LOCKED, mayExist: true }]) {
      const told = await transient(sink.write(batch, attempt));
      expect(told).toEqual({ outcomeKnown: attempt === LOCKED, sqlState: '55P03' });
    }
    await runner.rollbackTransaction();
    await runner.release();
    await expect(sink.write(batch, AGAIN)).resolves.toMatchObject({ written: 2 });
  });
});

describe.each(STRATEGIES)('a backend that is terminated (%s)', (strategy) => {
  const terminate = async (): Promise<void> => {
    const pid = await until(async () => (await busyBackends())[0]);
    await database.admin.query('SELECT pg_terminate_backend($1)', [pid]);
  };

  it('before it has all rows leaves nothing', async () => {
    const sink = makeSink(strategy);
    const unlock = await lockTable();
    const told = transient(sink.write(largeBatch(MIB), ATTEMPT));
    await terminate();
    // The rows may have been sent completely already; then the outcome is unknown.
    await told;
    await unlock();
    expect(await count()).toBe(0);
    await expect(sink.write(largeBatch(MIB), AGAIN)).resolves.toMatchObject({ conflicts: [] });
  });

  it('while it commits leaves the outcome unknown', async () => {
    await database.sql(`
      CREATE FUNCTION "${database.schema}".wait() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_sleep(10); RETURN NULL; END $$`);
    await database.sql(
      `CREATE CONSTRAINT TRIGGER t AFTER INSERT ON $T DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION "${database.schema}".wait()`,
    );
    const sink = makeSink(strategy);
    const batch = largeBatch(1000);
    const told = transient(sink.write(batch, ATTEMPT));
    await until(async () => {
      const waits = await database.sql(
        `SELECT 1 FROM pg_stat_activity
         WHERE application_name = '${database.schema}' AND wait_event = 'PgSleep'`,
      );
      return waits[0];
    });
    await terminate();
    expect(await told).toMatchObject({ outcomeKnown: false });
    await database.sql('DROP TRIGGER t ON $T');
    await expect(sink.write(batch, AGAIN)).resolves.toMatchObject({ written: 1 });
  });

  it('while it is idle costs one attempt at most', async () => {
    const sink = makeSink(strategy);
    await sink.write(largeBatch(1000), ATTEMPT);
    await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name = '${database.schema}'`,
    );
    await sink.write(largeBatch(1000), ATTEMPT).catch(() => sink.write(largeBatch(1000), ATTEMPT));
    expect(await count()).toBe(2);
  });
});

describe.each(STRATEGIES)('a network that goes silent (%s)', (strategy) => {
  it('ends the attempt in time; the next one gets a fresh connection', async () => {
    const sink = makeSink(strategy, { url: proxy.url });
    await sink.write(largeBatch(1000), ATTEMPT);
    proxy.isFrozen = true;
    const begin = performance.now();
    const told = await transient(sink.write(largeBatch(4 * MIB), SHORT));
    expect(performance.now() - begin).toBeLessThan(10 * SHORT.timeoutMs);
    expect(told.sqlState).toBeUndefined();
    proxy.isFrozen = false;
    await sink.write(largeBatch(1000), ATTEMPT);
    expect(await count()).toBe(2);
  });

  it('after the last byte leaves the outcome unknown, and the repetition settles it', async () => {
    const sink = makeSink(strategy, { url: proxy.url });
    await sink.write(largeBatch(1000), ATTEMPT);
    const batch = largeBatch(100_000);
    const unlock = strategy === 'insert' ? await lockTable() : undefined;
    // The whole batch fits into one piece, so its end is sent together with its beginning.
    const sent = proxy.sentBytes;
    proxy.onSent = (bytes) => {
      if (bytes - sent >= 100_000) proxy.isFrozen = true;
    };
    const told = await transient(sink.write(batch, SHORT));
    expect(told.outcomeKnown).toBe(false);
    await unlock?.();
    proxy.onSent = undefined;
    proxy.isFrozen = false;
    const result = await sink.write(batch, AGAIN);
    expect(result.written + result.duplicates.length).toBe(batch.count);
    expect(result.conflicts).toEqual([]);
    expect(await count()).toBe(batch.count + 1);
  });

  it('survives a reset in the middle of a large batch', async () => {
    const sink = makeSink(strategy, { url: proxy.url });
    await sink.write(largeBatch(1000), ATTEMPT);
    const sent = proxy.sentBytes;
    proxy.onSent = (bytes) => {
      if (bytes - sent > 2 * MIB) proxy.reset();
    };
    const told = await transient(sink.write(largeBatch(8 * MIB), ATTEMPT));
    expect(told.outcomeKnown).toBe(true);
    proxy.onSent = undefined;
    await sink.write(largeBatch(1000), ATTEMPT);
    expect(await count()).toBe(2);
  });
});

describe('a row refused while megabytes wait for the socket', () => {
  it.each([true, false])('is named, and the connection serves the next (proxy %s)', async (far) => {
    await database.sql(`ALTER TABLE $T ADD CONSTRAINT nice CHECK (memo <> 'poison')`);
    const sink = makeSink('copy', far ? { url: proxy.url } : {});
    const large = largeBatch(16 * MIB);
    const poison = database.row({ uuid: randomUUID(), memo: 'poison' });
    const rows = [poison, ...Array.from({ length: large.count }, (_, i) => large.row(i))];
    for (let i = 0; i < 3; i += 1) {
      const error: unknown = await sink
        .write(rowBatch(rows, 250), { ...ATTEMPT, timeoutMs: 20_000 })
        .catch((reason: unknown) => reason);
      expect(isLedgerError(error, 'SINK_ROW') && error.rowNumber).toBe(1);
    }
    await sink.write(largeBatch(1000), ATTEMPT);
    const backends = await database.sql(
      `SELECT 1 FROM pg_stat_activity WHERE application_name = '${database.schema}'`,
    );
    expect(backends).toHaveLength(1);
    expect(await count()).toBe(1);
  });
});

describe('a batch of 16 MiB', () => {
  it.each(STRATEGIES)(
    'is written to the socket in pieces, a turn for each (%s)',
    async (strategy) => {
      const sink = makeSink(strategy);
      const batch = largeBatch(16 * MIB, 300);
      await sink.write(largeBatch(1000), ATTEMPT);
      const turns = await bytesPerTurn(() => sink.write(batch, { ...ATTEMPT, timeoutMs: 30_000 }));
      expect(await count()).toBe(batch.count + 1);
      expect(turns.reduce((sum, bytes) => sum + bytes)).toBeGreaterThan(15 * MIB);
      // The first piece is sent at once, so it may share a turn with the second.
      expect(Math.max(...turns)).toBeLessThan(2.1 * 262_144);
    },
  );
});
