import { BullModule, getQueueToken, Process, Processor } from '@nestjs/bull';
import type { Type } from '@nestjs/common';
import type { Job, Queue } from 'bull';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import { JobSource, redis, tasks, type Task } from './jobs.js';
import type { Part } from './part.js';
import { CALLERS, entryOf, work, workAndRecord, type Draft } from './work.js';

@Processor('bull')
class MeteredJobs {
  @Process({ concurrency: CALLERS })
  @RecordUsage(entryOf)
  run(job: Job<Task>, @Usage() draft: Draft = {}): Promise<string> {
    return work(job.data.memo, draft);
  }
}

@Processor('bull-plain')
class PlainJobs {
  constructor(private readonly ledger: LedgerService) {}

  @Process({ concurrency: CALLERS })
  run(job: Job<Task>): Promise<string> {
    return workAndRecord(job.data.memo, this.ledger);
  }
}

const PROCESSORS: Record<string, Type> = { bull: MeteredJobs, 'bull-plain': PlainJobs };

export const bull = (kinds: readonly string[]): Part => ({
  imports: [
    BullModule.forRoot({ redis: redis() }),
    BullModule.registerQueue(...kinds.map((name) => ({ name }))),
  ],
  providers: kinds.flatMap((kind) => [
    PROCESSORS[kind]!,
    {
      provide: `source of ${kind}`,
      inject: [getQueueToken(kind)],
      useFactory: (queue: Queue<Task>) =>
        new JobSource(() => queue.addBulk(tasks(kind).map((data) => ({ data })))),
    },
  ]),
});
