import { InjectQueue as InjectBullQueue } from '@nestjs/bull';
import { BullModule as OldBullModule, Process, Processor as OldProcessor } from '@nestjs/bull';
import { BullModule, InjectQueue, Processor, WorkerHost } from '@nestjs/bullmq';
import { Injectable, type DynamicModule, type OnApplicationBootstrap } from '@nestjs/common';
import type OldBull from 'bull';
import type { Job, Queue } from 'bullmq';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import { entryOf, work, workAndRecord, type Draft } from './work.js';

/** More than are worked off before the stop. */
const JOBS = 400;
const CONCURRENCY = 5;

interface Task {
  memo: string;
}

@Processor('metered', { concurrency: CONCURRENCY })
export class MeteredJobs extends WorkerHost {
  @RecordUsage(entryOf)
  process(job: Job<Task>, _token?: string, @Usage() draft: Draft = {}): Promise<string> {
    return work(job.data.memo, draft);
  }
}

@Processor('plain', { concurrency: CONCURRENCY })
export class PlainJobs extends WorkerHost {
  constructor(private readonly ledger: LedgerService) {
    super();
  }

  process(job: Job<Task>): Promise<string> {
    return workAndRecord(job.data.memo, this.ledger);
  }
}

@OldProcessor('old')
export class OldJobs {
  constructor(private readonly ledger: LedgerService) {}

  @Process({ name: 'metered', concurrency: CONCURRENCY })
  @RecordUsage(entryOf)
  metered(job: OldBull.Job<Task>, @Usage() draft: Draft = {}): Promise<string> {
    return work(job.data.memo, draft);
  }

  @Process({ name: 'plain', concurrency: CONCURRENCY })
  plain(job: OldBull.Job<Task>): Promise<string> {
    return workAndRecord(job.data.memo, this.ledger);
  }
}

/** Gives the workers something to do. */
@Injectable()
export class JobSource implements OnApplicationBootstrap {
  constructor(
    @InjectQueue('metered') private readonly metered: Queue,
    @InjectQueue('plain') private readonly plain: Queue,
    @InjectBullQueue('old') private readonly old: OldBull.Queue,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (let i = 0; i < JOBS; i++) {
      const task = (kind: string): Task => ({ memo: `${kind} ${i}` });
      await this.metered.add('work', task('bullmq'));
      await this.plain.add('work', task('bullmq-plain'));
      await this.old.add('metered', task('bull'));
      await this.old.add('plain', task('bull-plain'));
    }
  }
}

export const jobProviders = [MeteredJobs, PlainJobs, OldJobs, JobSource];

/** @param port of a Redis */
export function queues(port: number): DynamicModule[] {
  const connection = { host: '127.0.0.1', port };
  return [
    BullModule.forRoot({ connection }),
    BullModule.registerQueue({ name: 'metered' }, { name: 'plain' }),
    OldBullModule.forRoot({ redis: connection }),
    OldBullModule.registerQueue({ name: 'old' }),
  ];
}
