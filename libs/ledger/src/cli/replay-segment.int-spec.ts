import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { mkdtemp, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { systemClock } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { UsageEntry } from '../entry/usage-entry.interface.js';
import { FileSpillStore } from '../files/file-spill-store.js';
import { SegmentSpill } from '../segments/segment-spill.js';
import {
  createLedgerDatabase,
  type LedgerDatabase,
} from '../sink/fixtures/ledger-database.fixture.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { escapeControls } from './escape-controls.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { definitionOptions } from './fixtures/definition-options.fixture.js';
import { runProgram } from './program.js';

const url = inject('databaseUrl');
const AT = new Date('2026-01-05T00:00:00.000Z');

let database: LedgerDatabase;
let dir: string;
let said: string[];
beforeEach(async () => {
  database = await createLedgerDatabase(url, { columns: { model: 'text', cost: 'numeric' } });
  dir = await mkdtemp(join(tmpdir(), 'ledger-replay-segment-'));
  said = [];
});
afterEach(async () => {
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

const output = outputTo((text) => void said.push(text));

function run(command: string, ...args: string[]): Promise<number> {
  const own = ['--database-url', url, ...definitionOptions(database.table)];
  return runProgram([command, ...own, ...args], output);
}

async function count(): Promise<number> {
  const [row] = await database.sql('SELECT count(*)::int AS n FROM $T');
  return (row as { n: number }).n;
}

/** One frame for each list of entries. */
function spill(frames: readonly object[][], table: LedgerTable = database.table): string {
  const target = (): { table: string } => ({ table: table.table });
  const segments = new SegmentSpill({ dir, table, run: '0000002a', target, clock: systemClock });
  const encode = createRowEncoder(table);
  let position = 0;
  let file: string | undefined;
  for (const entries of frames) {
    const slices = entries.map((entry) => encode(entry as UsageEntry<LedgerTable>));
    const kept = segments.keep({ slices, count: slices.length, position });
    file ??= kept;
    position += slices.length;
  }
  segments.close();
  return file!;
}

const entry = (more: object = {}): object => ({ userId: 1, createdAt: AT, ...more });

describe('a replay of segments', () => {
  it('counts them first, writes each row as it was recorded, once, and moves the file', async () => {
    const uuid = randomUUID();
    const full = entry({ uuid, memo: 'a\tb', model: 'gpt', cost: '-0.0100', attributes: { a: 1 } });
    const file = spill([[full, entry()]]);
    expect(await run('replay', dir, '--dry-run')).toBe(0);
    expect(said.at(-1)).toBe('dry run: 2 would be written, 0 already there, 0 would be refused');
    expect(await run('replay', dir)).toBe(0);
    expect(said.at(-1)).toBe('replayed: 2 written, 0 already there, 0 refused');
    const rows = await database.sql(
      `SELECT memo, model, cost, attributes, created_at FROM $T WHERE uuid = '${uuid}'`,
    );
    expect(rows).toEqual([
      { memo: 'a\tb', model: 'gpt', cost: '-0.0100', attributes: { a: 1 }, created_at: AT },
    ]);
    expect(await readdir(dir)).toEqual(['replayed']);
    await rename(join(dir, 'replayed', basename(file)), file);
    expect(await run('replay', file)).toBe(0);
    expect(said.at(-1)).toBe('replayed: 0 written, 2 already there, 0 refused');
  });

  it('reads what an exit left unfinished, but for a half frame at its end', async () => {
    const file = spill([[entry(), entry()]]);
    appendFileSync(file, Buffer.alloc(20, 1));
    await rename(file, `${file}.open`);
    expect(await run('replay', dir), 'its writer is this process').toBe(0);
    expect(said).toContain(`${file}.open stays: its writer may still be running`);
    expect(said.at(-1)).toBe('skipped 1 half-written last line(s)');
    expect(await count()).toBe(2);
    // A writer that lives has finished its file by then.
    const before = Date.now() / 1000 - 61;
    await utimes(`${file}.open`, before, before);
    expect(await run('replay', dir)).toBe(0);
    expect(await readdir(join(dir, 'replayed'))).toEqual([basename(file)]);
    expect(await count()).toBe(2);
  });

  it('takes a finished file that is cut off for one that lost a part', async () => {
    const file = spill([[entry()]]);
    appendFileSync(file, Buffer.alloc(20, 1));
    expect(await run('replay', dir)).toBe(1);
    expect(await count()).toBe(1);
    expect(said).toContain(`${file} stays: 1 of its entries are not in the table`);
  });

  it('stops at damage, says where, writes what is before it, and leaves the file', async () => {
    const file = spill([[entry()]]);
    const { size } = await stat(file);
    appendFileSync(file, Buffer.alloc(5000, 7));
    expect(await run('replay', dir)).toBe(1);
    expect(said).toContain(
      `${file}: damaged at byte ${size} (no frame header): the rest of the file is not read`,
    );
    expect(await count()).toBe(1);
    expect(await readdir(dir)).toEqual([basename(file)]);
  });

  it('reports rows of columns that the definition no longer has, and keeps them', async () => {
    const older = { ...database.table, columns: { model: 'text', region: 'text' } } as const;
    const file = spill([[entry({ model: 'gpt' }), entry({ region: 'eu' })]], older);
    expect(await run('replay', dir)).toBe(1);
    expect(said.join('\n')).toContain('region is not a field of this definition');
    expect(await database.sql('SELECT model FROM $T')).toEqual([{ model: 'gpt' }]);
    expect(await readdir(dir)).toEqual([basename(file)]);
  });

  it('leaves the files of another ledger alone, lines and rows, in a folder and by themselves', async () => {
    const other = { ...database.table, name: 'billing' };
    const file = spill([[entry()]], other);
    const lines = new FileSpillStore({ dir, ledger: 'billing' });
    const uuid = randomUUID();
    const line = { userId: 1, createdAt: AT.toISOString(), uuid };
    await lines.spill([{ uuid, mayExist: false, attempts: 1, queuedAt: 0, entry: line }]);
    expect(await run('replay', dir)).toBe(0);
    expect(said.at(-2)).toBe('2 files of other ledgers stay: replay them with their -d <module>');
    expect(await run('replay', file)).toBe(1);
    expect(said.join('\n')).toContain('is of ledger billing, table');
    expect(await count()).toBe(0);
    expect((await readdir(dir)).length).toBe(2);
  });

  it('prints entries for a ledger whose sink is the application’s own, without a database', async () => {
    spill([[entry({ memo: 'a', cost: '1.5' }), entry({ memo: '\u009b2J' })]]);
    const print = ['replay', dir, ...definitionOptions(database.table), '--print'];
    expect(await runProgram(print, output)).toBe(0);
    const entries = said.map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(entries.map(({ memo, cost }) => [memo, cost])).toEqual([
      ['a', '1.5'],
      ['\u009b2J', null],
    ]);
    expect(said[1]).toContain('\\u009b2J');
  });

  it('is in the proof of verify', async () => {
    spill([[{ userId: 1 }, { userId: 1 }], [{ userId: 1 }]]);
    expect(await run('verify', '--files', dir)).toBe(0);
    expect(said.join('\n')).toMatch(/1 run: 0 in the table, 0 dead-lettered, 3 spilled, 0 missing/);
  });
});

describe('a replay of a foreign file', () => {
  const line = (more: object = {}): string => {
    const own = { userId: 1, createdAt: AT.toISOString(), uuid: randomUUID() };
    const whole = { v: 1, uuid: null, reason: 'spilled', queuedAt: AT.toISOString(), entry: own };
    return JSON.stringify({ ...whole, ...more });
  };
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  const HOSTILE: readonly (readonly [string, () => string | Buffer])[] = [
    ['nested without end', () => line().replace('"userId":1', `"labels":${nested(500_000)}`)],
    [
      'nested without end, in a field',
      () => line().replace('"userId":1', `"userId":${nested(50_000)}`),
    ],
    ['an escape sequence in a name', () => line({ entry: { '\u001b[2J\u0007': 1, userId: 1 } })],
    ['megabytes in a name', () => line({ entry: { ['x'.repeat(3_000_000)]: 1, userId: 1 } })],
    ['a prototype', () => line().replace('"userId":1', '"__proto__":{"userId":1}')],
    ['a constructor', () => line().replace('"userId":1', '"constructor":{"prototype":{}}')],
    [
      'no UTF-8',
      () =>
        Buffer.concat([
          Buffer.from(line().slice(0, -3)),
          Buffer.from([0xc3, 0x28]),
          Buffer.from('"}}'),
        ]),
    ],
    ['a raw NUL', () => line().replace('spilled', 'spi\0lled')],
    ['a uuid that is an object', () => line({ uuid: { toString: 1 } })],
    ['a time that is an object', () => line({ queuedAt: { toString: 1 } })],
    ['an entry that is a list', () => line({ entry: [1] })],
    ['nothing', () => ''],
  ];

  it.each(HOSTILE)('sets aside a line with %s, and writes the others', async (_, hostile) => {
    const file = join(dir, 'a.ndjson');
    const bytes = [line(), hostile(), line()].flatMap((each) => [
      Buffer.from(each),
      Buffer.from('\n'),
    ]);
    await writeFile(file, Buffer.concat(bytes));
    expect(await run('replay', file)).toBe(1);
    expect(await count()).toBe(2);
    expect(said.at(-1)!.length).toBeLessThan(200);
    for (const text of said) {
      expect(escapeControls(text)).toBe(text);
      expect(text.length).toBeLessThan(500);
    }
    expect(await readdir(dir)).toEqual(['a.ndjson']);
    said = [];
    expect([0, 1]).toContain(await run('verify', '--files', file));
  });

  it('holds no line of 200 MB in memory', async () => {
    const file = join(dir, 'a.ndjson');
    const handle = await open(file, 'w');
    await handle.write(`${line()}\n`);
    const block = 'x'.repeat(10_000_000);
    for (let i = 0; i < 20; i++) await handle.write(block);
    await handle.write(`\n${line()}\n`);
    await handle.close();
    const before = process.memoryUsage.rss();
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
    try {
      expect(await run('replay', file)).toBe(1);
    } finally {
      clearInterval(watch);
    }
    expect(await count()).toBe(2);
    expect(said).toContain(`${file}: line 2 can't be read, skipped`);
    expect(peak - before).toBeLessThan(150e6);
  });
});
