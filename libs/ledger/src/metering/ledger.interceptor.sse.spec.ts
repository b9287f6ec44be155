import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { once } from 'node:events';
import { concat, NEVER, of, throwError, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';
import { Usage } from './usage.decorator.js';

const calls = new CallLog();
const broken = new Error('the provider broke');

@Controller()
class EventController {
  @Sse('events')
  @RecordUsage(calls.map)
  async events(@Usage() draft: object): Promise<Observable<MessageEvent>> {
    Object.assign(draft, { completionTokens: 2 });
    return of({ data: 'first' }, { data: 'second' });
  }

  @Sse('no-events')
  @RecordUsage(calls.map)
  noEvents(): Observable<MessageEvent> {
    return of();
  }

  @Sse('endless')
  @RecordUsage(calls.map)
  endless(): Observable<MessageEvent> {
    return concat(of({ data: 'first' }), NEVER);
  }

  @Sse('broken-events')
  @RecordUsage(calls.map)
  brokenEvents(): Observable<MessageEvent> {
    return concat(
      of({ data: 'first' }),
      throwError(() => broken),
    );
  }

  @Sse('broken-at-once')
  @RecordUsage(calls.map)
  brokenAtOnce(): Observable<MessageEvent> {
    return throwError(() => broken);
  }
}

describe.each(ADAPTERS)('LedgerInterceptor with @Sse() on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    app = await RecordedApp.start(adapter, { controllers: [EventController] });
  });

  afterEach(() => app.close());

  it('maps events once when all were sent, with the last one and the draft', async () => {
    const answer = await app.fetch('/events');
    expect(await answer.text()).toMatch(/first[^]*second/);
    await calls.reach(1);
    await app.close();
    expect(calls.all).toMatchObject([
      { end: 'completed', result: { data: 'second' }, usage: { completionTokens: 2 } },
    ]);
  });

  it('maps a handler once that has no event to send', async () => {
    expect((await app.fetch('/no-events')).status).toBe(200);
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it('maps a HEAD request once, though its events never end', async () => {
    const { socket, answer } = await app.head('/endless');
    expect(answer).toContain(' 200 ');
    await calls.reach(1);
    socket.destroy();
    await app.close();
    expect(calls.ends).toEqual(['completed']);
  });

  it('maps events once as aborted when the client hangs up', async () => {
    const socket = await app.dial('/endless');
    while (!String((await once(socket, 'data'))[0]).includes('first'));
    expect(calls.all).toEqual([]);
    socket.destroy();
    await calls.reach(1);
    await app.close();
    expect(calls.all).toMatchObject([{ end: 'aborted', error: undefined }]);
    expect(app.ledger.recorded).toEqual([{ userId: 1 }]);
  });

  it.each([
    ['broken-events', 200],
    ['broken-at-once', 500],
  ])('maps %s once as failed', async (path, status) => {
    const answer = await app.fetch(`/${path}`);
    expect(answer.status).toBe(status);
    await answer.text();
    await calls.reach(1);
    await app.close();
    expect(calls.ends).toEqual(['failed']);
    expect(calls.all[0]?.error).toBe(broken);
  });
});
