import { LedgerService } from 'nestjs-ledger';
import { expect, it, vi } from 'vitest';
import { RunningExample } from '../../test/support/running-example.js';
import { AppModule } from './src/app.module.js';
import { JobQueue, type Job } from './src/job-queue.js';

const DELIVERIES = 120;
const JOBS = 100;

it('acknowledges what is committed, and counts a job that comes again once', async () => {
  const example = await RunningExample.runContext(AppModule);
  try {
    const queue = example.app.get(JobQueue);
    const ledger = example.app.get(LedgerService, { strict: false });
    const sentAt = Date.now();
    for (let i = 0; i < DELIVERIES; i += 1) {
      const job: Job = { id: `${i % JOBS}`, userId: 7, text: 'count these words', sentAt };
      queue.send(job);
    }
    await vi.waitFor(() => expect(queue.acknowledged).toHaveLength(DELIVERIES), 20_000);
    expect(ledger.stats()).toMatchObject({ written: JOBS, duplicate: DELIVERIES - JOBS });

    const rows = await example.rowsAtTheEnd();
    expect(rows).toHaveLength(JOBS);
    expect(rows.every((row) => row['prompt_tokens'] === 3)).toBe(true);
  } finally {
    await example.drop();
  }
});

it('writes what is under way when it is stopped', async () => {
  const example = await RunningExample.runContext(AppModule);
  try {
    const queue = example.app.get(JobQueue);
    queue.send({ id: 'last', userId: 7, text: 'count these words', sentAt: Date.now() });
    const rows = await example.rowsAtTheEnd();
    expect(rows).toHaveLength(queue.acknowledged.length);
    expect(queue.acknowledged).toEqual(['last']);
  } finally {
    await example.drop();
  }
});
