import { readFile } from 'node:fs/promises';
import { getLedgerToken, type LedgerService } from 'nestjs-ledger';
import { expect, it, vi } from 'vitest';
import { definitionOptions } from '../../libs/ledger/src/cli/fixtures/definition-options.fixture.js';
import { runProgram } from '../../libs/ledger/src/cli/program.js';
import type { OwnSchema } from '../../libs/ledger/src/postgres/fixtures/own-schema.fixture.js';
import { RunningExample } from '../../test/support/running-example.js';
import { apiUsage } from './src/api-usage.ledger.js';
import { AppModule } from './src/app.module.js';

const ADOPT = new URL('adopt.sql', import.meta.url);

/** The table, as the comment in `adopt.sql` has it, with a row that was written long ago. */
async function makeOldTable(schema: OwnSchema): Promise<void> {
  const comment = (await readFile(ADOPT, 'utf8')).match(/^-- .*$/gm) ?? [];
  const text = comment.map((line) => line.slice(2)).join('\n');
  await schema.query(/CREATE TABLE .*?;/s.exec(text)?.[0] ?? '');
  await schema.query(`INSERT INTO api_usage (customer, tokens, model, at)
    VALUES (1, 40, 'old-1', '2020-01-01')`);
}

async function migrate({ url }: OwnSchema): Promise<number> {
  const said: string[] = [];
  const output = {
    line: (text: string) => void said.push(text),
    warn: (text: string) => void said.push(text),
    progress: () => ({ at: () => undefined, end: () => undefined }),
  };
  return runProgram(['migrate', '--database-url', url, ...definitionOptions(apiUsage)], output);
}

it('says what the table lacks, and writes what it kept once that is mended', async () => {
  const example = await RunningExample.runContext(AppModule, makeOldTable);
  try {
    const ledger = example.app.get<LedgerService<typeof apiUsage>>(getLedgerToken(apiUsage));
    ledger.record({ userId: 1, model: 'new-1', promptTokens: 2 });
    await vi.waitFor(() => expect(ledger.stats().state).toBe('halted'), 10_000);
    expect(ledger.stats().reason).toContain('column uuid of "api_usage" is missing');

    await example.schema.query(await readFile(ADOPT, 'utf8'));
    expect(await migrate(example.schema)).toBe(0);
    await ledger.recordAndWait({ userId: 1, model: 'new-1', completionTokens: 1 });

    expect(await ledger.summary({ userId: 1 })).toMatchObject({ consumedTokens: 43, entries: 3 });
    const ids = await example.schema.query('SELECT id, model FROM api_usage ORDER BY id');
    expect(ids.map(({ model }) => model)).toEqual(['old-1', 'new-1', 'new-1']);
    expect(await migrate(example.schema)).toBe(0);
  } finally {
    await example.drop();
  }
});
