import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LedgerModule, LedgerService } from './index.js';

let silent: Server;
let spillDir: string;
const sockets = new Set<Socket>();

beforeEach(async () => {
  spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-lifecycle-'));
  silent = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => silent.close(resolve));
  await rm(spillDir, { recursive: true });
});

describe('a stop while the server is silent', () => {
  it('takes no longer than shutdownTimeoutMs, the connections included', async () => {
    const { port } = silent.address() as AddressInfo;
    const connection = { host: '127.0.0.1', port, username: 'x', password: 'x', database: 'x' };
    const shutdownTimeoutMs = 3000;
    const module = await Test.createTestingModule({
      imports: [LedgerModule.forRoot({ connection, shutdownTimeoutMs, spillDir })],
    }).compile();
    module.useLogger(false);
    await module.init();
    const ledger = module.get(LedgerService);
    for (let i = 0; i < 5; i++) ledger.record({ userId: 7 });
    const flush = ledger.flush().then(() => 'settled');
    const startedAt = performance.now();
    await Promise.all([module.close(), module.close()]);
    expect(performance.now() - startedAt).toBeLessThan(1.7 * shutdownTimeoutMs);
    expect(ledger.stats()).toMatchObject({ spilled: 5, inFlight: 0, depth: 0 });
    expect(await flush).toBe('settled');
  });
});
