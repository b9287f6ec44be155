import { Controller, Get, Injectable, UseGuards, type CanActivate } from '@nestjs/common';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, latch, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
const unknown = new Error('unknown');
let entered = latch();
let work = latch();

@Injectable()
class Linger implements CanActivate {
  async canActivate(): Promise<boolean> {
    entered.open();
    await work.promise;
    return true;
  }
}

@Controller()
class SlowController {
  @Get('slow')
  @RecordUsage(calls.map)
  async slow(): Promise<string> {
    entered.open();
    await work.promise;
    return 'late';
  }

  @Get('guarded')
  @UseGuards(Linger)
  @RecordUsage(calls.map)
  guarded(): string {
    return 'to nobody';
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with clients that hang up on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    entered = latch();
    work = latch();
    app = await RecordedApp.start(adapter, { controllers: [SlowController] });
  });

  afterEach(() => app.close());

  it('maps a client that hangs up during the handler once, despite later events', async () => {
    const socket = await app.dial('/slow');
    await entered.promise;
    socket.destroy();
    await calls.reach(1);
    work.open();
    await app.close();
    expect(calls.ends).toEqual(['aborted']);
    expect(calls.all[0]?.result).toBeUndefined();
  });

  it('maps a client once that hung up while a guard was at work', async () => {
    const connected = once(app.nest.getHttpServer() as Server, 'connection');
    const socket = await app.dial('/guarded');
    const [peer] = (await connected) as [Socket];
    await entered.promise;
    const closed = once(peer, 'close');
    socket.destroy();
    await closed;
    work.open();
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['aborted']);
  });

  it('maps a client once that hangs up before a handler that then throws', async () => {
    const socket = await app.dial('/slow');
    await entered.promise;
    socket.resetAndDestroy();
    await calls.reach(1);
    work.fail(unknown);
    await app.close();
    expect(calls.ends).toEqual(['aborted']);
    expect(calls.all[0]?.error).toBeUndefined();
  });

  it('maps each request of a pipelining client once that hangs up', async () => {
    const socket = await app.dial('/slow', '/slow', '/slow');
    await entered.promise;
    socket.destroy();
    await calls.reach(3);
    work.open();
    await app.close();
    expect(calls.ends).toEqual(['aborted', 'aborted', 'aborted']);
  });
});
