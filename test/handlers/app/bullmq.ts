import { BullModule, getQueueToken, Processor, WorkerHost } from '@nestjs/bullmq';
import type { Provider } from '@nestjs/common';
import type { Job, Queue } from 'bullmq';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import { JobSource, redis, tasks, type Task } from './jobs.js';
import type { Part } from './part.js';
import { CALLERS, entryOf, work, workAndRecord, type Draft } from './work.js';

@Processor('bullmq', { concurrency: CALLERS })
class MeteredJobs extends WorkerHost {
  @RecordUsage(entryOf)
  process(job: Job<Task>, _token?: string, @Usage() draft: Draft = {}): Promise<string> {
    return work(job.data.memo, draft);
  }
}

@Processor('bullmq-plain', { concurrency: CALLERS })
class PlainJobs extends WorkerHost {
  constructor(private readonly ledger: LedgerService) {
    super();
  }

  process(job: Job<Task>): Promise<string> {
    return workAndRecord(job.data.memo, this.ledger);
  }
}

const HOSTS: Record<string, Provider> = { bullmq: MeteredJobs, 'bullmq-plain': PlainJobs };

export const bullmq = (kinds: readonly string[]): Part => ({
  imports: [
    BullModule.forRoot({ connection: redis() }),
    BullModule.registerQueue(...kinds.map((name) => ({ name }))),
  ],
  providers: kinds.flatMap((kind) => [
    HOSTS[kind]!,
    {
      provide: `source of ${kind}`,
      inject: [getQueueToken(kind)],
      useFactory: (queue: Queue) =>
        new JobSource(() => queue.addBulk(tasks(kind).map((data) => ({ name: 'work', data })))),
    },
  ]),
});
