import { expect, it } from 'vitest';
import { RunningExample } from '../../test/support/running-example.js';
import { AppModule } from './src/app.module.js';

it('writes usage and audit into tables with columns of their own', async () => {
  const example = await RunningExample.serve(AppModule);
  const subject = '7b1c6a52-4c55-4f0e-9a76-0b9f5a1f5a10';
  try {
    await example.send('POST', '/answers', { user: 'ann', text: 'good day' });
    await example.send('DELETE', `/answers/${subject}`, { user: 'bob' });
    // The audit entry was committed before the answer went out.
    expect(await example.schema.query('SELECT action FROM audit_entries')).toHaveLength(1);

    expect(await example.rowsAtTheEnd()).toEqual([
      expect.objectContaining({ user_id: 'ann', model: 'echo-1', cost_nanos: '1200' }),
    ]);
    expect(await example.rowsAtTheEnd('audit_entries')).toEqual([
      expect.objectContaining({ user_id: 'bob', action: 'answer.remove', subject }),
    ]);
  } finally {
    await example.drop();
  }
});
