import { expect, it } from 'vitest';
import { RunningExample } from '../../test/support/running-example.js';
import { AppModule } from './src/app.module.js';

it('answers a request, and has its entry in the table when it stopped', async () => {
  const example = await RunningExample.serve(AppModule);
  try {
    const body = { user: 7, text: 'good day' };
    const response = await example.send('POST', '/translations', body);
    expect(await response.json()).toEqual({ user: 7, words: 2, text: 'GOOD DAY' });
    const attributes = { durationMs: expect.any(Number) };
    const row = expect.objectContaining({ user_id: '7', completion_tokens: 2, attributes });
    expect(await example.rowsAtTheEnd()).toEqual([row]);
  } finally {
    await example.drop();
  }
});
