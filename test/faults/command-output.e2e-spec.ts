import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfStale } from '../support/example-app.js';
import { FaultDatabase } from './support/fault-database.js';
import { LedgerCommand } from './support/ledger-command.js';

const BUILD_LIMIT_MS = 240_000;
const FULL_DEVICE = '/dev/full';
const COMMAND = fileURLToPath(new URL('../../libs/ledger/dist/esm/cli/main.js', import.meta.url));

let database: FaultDatabase;
let folder: string;
beforeAll(async () => {
  await buildIfStale();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-output-'));
  database = await FaultDatabase.start();
}, BUILD_LIMIT_MS);
afterAll(async () => {
  await database?.dispose();
  await rm(folder, { recursive: true, force: true });
});

async function spill(name: string): Promise<void> {
  const uuid = randomUUID();
  const entry = { uuid, userId: 1, createdAt: '2026-01-05T00:00:00.000Z' };
  const line = { v: 1, uuid, reason: 'spilled', queuedAt: entry.createdAt, entry };
  await writeFile(join(folder, name), `${JSON.stringify(line)}\n`);
}

describe('npx nestjs-ledger', () => {
  it('goes on when nobody reads its output any more, as behind `| head -1`', async () => {
    const command = new LedgerCommand(folder, database.url);
    expect(await command.run('migrate')).toMatchObject({ code: 0 });
    for (const name of ['a.ndjson', 'b.ndjson', 'c.ndjson']) await spill(name);
    const { child, ended } = command.start('replay', folder);
    child.stdout!.destroy();
    expect(await ended).toEqual({ code: 0, text: '' });
    expect(await readdir(folder)).toEqual(['replayed']);
    expect(await database.sql('SELECT count(*)::int AS n FROM usage_entries')).toEqual([{ n: 3 }]);
  });

  it.skipIf(!existsSync(FULL_DEVICE))('fails when the disk does not take its output', async () => {
    const full = await open(FULL_DEVICE, 'w');
    try {
      const stdio = ['ignore', full.fd, 'pipe'] as const;
      const child = spawn(process.execPath, [COMMAND, 'migrate', '--sql'], { stdio: [...stdio] });
      let said = '';
      child.stderr!.setEncoding('utf8').on('data', (part: string) => (said += part));
      expect(await once(child, 'close')).toEqual([2, null]);
      expect(said).toBe("error: the result can't be written: ENOSPC\n");
    } finally {
      await full.close();
    }
  });
});
