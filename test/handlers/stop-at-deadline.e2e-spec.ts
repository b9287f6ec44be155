import { findFreePort } from '@app/embedded-postgres';
import { Controller, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { LedgerModule, LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultLedger } from '../../libs/ledger/src/define-ledger.js';
import { RowCodec } from '../../libs/ledger/src/codec/row-codec.js';
import { InMemorySink } from '../../libs/ledger/src/testing/in-memory.sink.js';
import { PATIENCE } from '../support/patience.js';

const codec = new RowCodec(defaultLedger);
let sink: InMemorySink;
beforeEach(() => {
  sink = new InMemorySink();
});

interface Draft {
  completionTokens?: number;
}

function rows(): string[] {
  return [...sink.rows.values()].map((row) => {
    const { memo, completionTokens } = codec.decode(row);
    return `${String(memo)} ${String(completionTokens)}`;
  });
}

describe('A call that outlives shutdownTimeoutMs', () => {
  it('is booked as aborted with what it has counted by then', async () => {
    @Injectable()
    class Endless {
      @RecordUsage(({ usage, end }) => ({ userId: 1, ...usage, memo: end }))
      run(@Usage() draft: Draft = {}): Promise<never> {
        draft.completionTokens = 5;
        return new Promise(() => undefined);
      }
    }
    @Module({
      imports: [LedgerModule.forRoot({ sink, flushMs: 20, shutdownTimeoutMs: 400 })],
      providers: [Endless],
    })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: false });
    void app.get(Endless).run();
    await app.close();
    expect(rows()).toEqual(['aborted 5']);
  });
});

describe('A message that outlives shutdownTimeoutMs', () => {
  it('keeps the stop no longer, and what it records then is in a file', async () => {
    const spillDir = await mkdtemp(join(tmpdir(), 'ledger-messages-'));
    const outcomes: string[] = [];
    let hasBegun = false;
    let finish: () => void = () => undefined;
    @Controller()
    class Messages {
      constructor(private readonly ledger: LedgerService) {}

      @MessagePattern('ask')
      async ask(): Promise<void> {
        hasBegun = true;
        await new Promise<void>((resolve) => (finish = resolve));
        outcomes.push(this.ledger.record({ userId: 1, memo: 'late' }));
      }
    }
    @Module({
      imports: [LedgerModule.forRoot({ sink, spillDir, shutdownTimeoutMs: 400 })],
      controllers: [Messages],
    })
    class App {}
    const port = await findFreePort();
    const tcp = { transport: Transport.TCP as const, options: { host: '127.0.0.1', port } };
    const app = await NestFactory.createMicroservice(App, { ...tcp, logger: false });
    await app.listen();
    const client = ClientProxyFactory.create(tcp);
    await client.connect();
    void firstValueFrom(client.send('ask', {})).catch(() => undefined);
    await vi.waitFor(() => expect(hasBegun).toBe(true), PATIENCE);
    await app.close();
    client.close();
    finish();
    await vi.waitFor(() => expect(outcomes).toEqual(['queued']), PATIENCE);
    expect(rows()).toEqual([]);
    expect(await readdir(spillDir)).toEqual([expect.stringMatching(/\.wal\.open$/)]);
    await rm(spillDir, { recursive: true });
  });
});
