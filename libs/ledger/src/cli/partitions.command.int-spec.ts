import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { runProgram } from './program.js';

const url = inject('databaseUrl');

let database: LedgerDatabase;
let said: string[];
beforeEach(async () => {
  database = await createLedgerDatabase(url, { partition: 'month' });
  said = [];
});
afterEach(() => database.drop());

const output = outputTo((text) => void said.push(text));

function partitions(...args: string[]): Promise<number> {
  const own = ['--database-url', url, '--schema', database.schema];
  return runProgram(['partitions', ...args, ...own], output);
}

describe('nestjs-ledger partitions create', () => {
  it.each([
    [
      ['--from', '2099-02', '--to', '2099-01'],
      /--from \(2099-02.*\) must be before --to \(2099-01/,
    ],
    [['--from', '2099-01'], /--from \(2099-01.*\) must be before --to/],
    [['--to', '2099-01'], /--to needs --from/],
    [['--from', '2026-01', '--ahead', '3'], /'--from <time>' cannot be used with .*'--ahead <n>'/],
  ])('refuses what can’t be meant: %j', async (args, reason) => {
    expect(await partitions('create', ...args)).toBe(2);
    expect(said.join('\n')).toMatch(reason);
    expect(await partitions('list', '--json')).toBe(0);
    const { partitions: found } = JSON.parse(said.at(-1)!) as { partitions: unknown[] };
    expect(found).toHaveLength(1);
  });
});
