import { expect, it } from 'vitest';
import { RunningExample } from '../../test/support/running-example.js';
import { AppModule } from './src/app.module.js';

it('lets a user spend what was bought, and no more', async () => {
  const example = await RunningExample.serve(AppModule);
  const order = { user: 7, tokens: 3, id: 'a-1', at: new Date().toISOString() };
  const ask = (): Promise<Response> =>
    example.send('POST', '/answers', { user: 7, text: 'good day' });
  try {
    expect((await ask()).status).toBe(402);
    // Delivered twice, counted once.
    await example.send('POST', '/orders', order);
    const bought = await example.send('POST', '/orders', order);
    expect(await bought.json()).toEqual({ left: 3 });

    expect(await (await ask()).json()).toEqual({ answer: 'GOOD DAY', left: 1 });
    expect(await (await ask()).json()).toEqual({ answer: 'GOOD DAY', left: -1 });
    expect((await ask()).status).toBe(402);
  } finally {
    await example.drop();
  }
});
