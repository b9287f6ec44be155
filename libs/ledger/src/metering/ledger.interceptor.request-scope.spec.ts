import { Controller, Get, Scope } from '@nestjs/common';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADAPTERS, CallLog, RecordedApp } from './fixtures/recorded-app.fixture.js';
import { RecordUsage } from './record-usage.decorator.js';

const calls = new CallLog();
const controllers: WeakRef<object>[] = [];

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Made for each request with separate handlers, like in packages that bind methods. */
@Controller({ scope: Scope.REQUEST })
class BoundController {
  constructor() {
    controllers.push(new WeakRef(this));
    this.bare = this.bare.bind(this);
  }

  @Get('bare')
  bare(): string {
    return 'not recorded';
  }
}

@Controller({ path: 'all', scope: Scope.REQUEST })
@RecordUsage(calls.map)
class RecordedController extends BoundController {}

describe.each(ADAPTERS)('LedgerInterceptor with controllers of one request on %s', (adapter) => {
  let app: RecordedApp;

  beforeEach(async () => {
    calls.clear();
    controllers.length = 0;
    const module = { controllers: [BoundController, RecordedController] };
    app = await RecordedApp.start(adapter, module);
  });

  afterEach(() => app.close());

  it.each([
    ['/bare', 0],
    ['/all/bare', 20],
  ])('keeps none of those that %s was answered by', async (path, recorded) => {
    for (let count = 1; count <= 20; count++) await (await app.fetch(path)).text();
    expect(calls.ends).toHaveLength(recorded);
    calls.clear();
    // A WeakRef holds its object until the turn that made it is over.
    await turn();
    collectGarbage();
    const kept = controllers.filter((controller) => controller.deref() !== undefined);
    expect(controllers).toHaveLength(20);
    // The connection may still hold the last one.
    expect(kept.length).toBeLessThan(5);
  });
});
