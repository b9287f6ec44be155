import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { CommandOutput } from './command-output.js';
import { defineLedger } from '../define-ledger.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';
import type { TuneReport } from './tune.command.js';

const ROLE = `tune_${randomUUID().slice(0, 8)}`;
const SCHEMA = `tune_${randomUUID().slice(0, 8)}`;
/** What the machine takes is not judged here: one batch for each pair is enough. */
const QUICK = ['--step', '0.01', '--workers', '2'];

let admin: pg.Client;
let said: string[];
let bars: { label: string; total: number; ended: boolean; at: number[] }[];
const output: CommandOutput = {
  line: (text) => void said.push(text),
  warn: (text) => void said.push(text),
  progress: (label, total) => {
    const bar = { label, total, ended: false, at: [] as number[] };
    bars.push(bar);
    return { at: (done) => void bar.at.push(done), end: () => void (bar.ended = true) };
  },
};

beforeAll(async () => {
  admin = new pg.Client({ connectionString: inject('databaseUrl') });
  await admin.connect();
  await admin.query(`CREATE SCHEMA ${SCHEMA}`);
  await admin.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'pass' IN ROLE pg_monitor`);
});
beforeEach(() => {
  said = [];
  bars = [];
});
afterAll(async () => {
  await admin.query(`DROP SCHEMA ${SCHEMA} CASCADE; DROP ROLE ${ROLE}`);
  await admin.end();
});

const tune = (...args: string[]): Promise<number> => runProgram(['tune', ...args], output);
const tablesLeft = async (): Promise<unknown[]> =>
  (await admin.query("SELECT relname FROM pg_class WHERE relname LIKE 'nestjs_ledger_tune%'")).rows;

describe('nestjs-ledger tune', () => {
  it('prints INI and environment, and why, without a database', async () => {
    expect(await tune('--qps', '50_000', '--burst', '2', '--cores', '16', '--no-measure')).toBe(0);
    expect(said.slice(0, 7)).toEqual([
      '# 50,000 entries/s, bursts of 2 s, 16 cores',
      '; INI',
      'ledger_async_batch_size=2000',
      'ledger_async_flush_ms=200',
      'ledger_async_buffer_size=100000',
      'ledger_async_num_workers=10',
      'ledger_async_buffer_max_bytes=268435456',
    ]);
    expect(said).toContain('LEDGER_ASYNC_BUFFER_SIZE=100000');
    expect(said).toContain('#   bufferSize 100,000: peak rate x burst: 50,000 entries/s x 2 s');
  });

  it('prints the names that a named ledger reads', async () => {
    const named = definitionOptions(defineLedger({ name: 'usage' }));
    expect(await tune('--qps', '50', '--no-measure', ...named)).toBe(0);
    expect(said).toContain('ledger_usage_async_batch_size=50');
    expect(said).toContain('LEDGER_USAGE_ASYNC_BATCH_SIZE=50');
  });

  it('measures at growing batch sizes and workers, and leaves nothing behind', async () => {
    const args = [
      '--qps',
      '10',
      '--database-url',
      inject('databaseUrl'),
      '--connection-schema',
      SCHEMA,
    ];
    expect(await tune(...args, ...QUICK, '--json'), said.join()).toBe(0);
    const { measurement, settings, demand } = JSON.parse(said.join('\n')) as TuneReport;
    const pairs = measurement!.steps.map(({ workers, batchSize }) => `${workers} x ${batchSize}`);
    expect(pairs.slice(0, 5)).toEqual(['1 x 100', '1 x 500', '1 x 2000', '1 x 10000', '2 x 100']);
    for (const { entriesPerSecond, flushMs } of measurement!.steps) {
      expect(entriesPerSecond).toBeGreaterThan(0);
      expect(flushMs).toBeGreaterThan(0);
    }
    expect(measurement!.isWithoutLog).toBe(false);
    expect(demand.maxConnections).toBe(measurement!.maxConnections);
    expect(settings).toMatchObject({ numWorkers: 1, batchSize: 100 });
    expect(bars).toMatchObject([{ label: 'measuring', total: 8, ended: true }]);
    expect(bars[0]!.at).toEqual(pairs.map((_, index) => index + 1));
    expect(await tablesLeft()).toEqual([]);
  });

  it('takes temporary tables where the role may make no others, and says so', async () => {
    const url = new URL(inject('databaseUrl'));
    [url.username, url.password] = [ROLE, 'pass'];
    const args = ['--qps', '10', '--database-url', url.href, '--connection-schema', SCHEMA];
    expect(await tune(...args, ...QUICK), said.join()).toBe(0);
    expect(said.join('\n')).toContain('in temporary tables, which skip the log');
    expect(said).toContain('#   workers   batch  entries/s  ms/batch');
    expect(await tablesLeft()).toEqual([]);
  });

  it('ends with 1 if the rate is out of reach, and with 2 if it could not be measured', async () => {
    expect(await tune('--qps', '900_000', '--cores', '1', '--no-measure')).toBe(1);
    expect(said.at(-1)).toMatch(/^# WARNING: 1 workers reach some 20,000 of 900,000/);
    const away = 'postgres://me:s3cret@127.0.0.1:1/nowhere';
    expect(await tune('--qps', '10', '--database-url', away)).toBe(2);
    expect(said.at(-1)).toMatch(/^error: can't measure: .*ECONNREFUSED/);
    for (const wrong of [
      ['--qps', 'many'],
      ['--qps', '-1'],
      [],
      ['--qps', '1', '--cores', '1.5'],
    ]) {
      expect(await tune(...wrong)).toBe(2);
    }
    expect(said.join('\n')).not.toContain('s3cret');
  });
});
