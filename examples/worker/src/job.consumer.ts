import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { OnApplicationBootstrap } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';
import { JobQueue, type Job } from './job-queue.js';

/**
 * Works on jobs, and acknowledges each after its entry is committed. A job that comes again has the
 * same key, so its usage is in the table once.
 */
@Injectable()
export class JobConsumer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stop = new AbortController();
  private readonly running = new Set<Promise<void>>();
  private loop: Promise<void> | undefined;

  constructor(
    private readonly queue: JobQueue,
    private readonly ledger: LedgerService,
  ) {}

  onApplicationBootstrap(): void {
    this.loop = this.consume();
  }

  /** In this hook the ledger still takes entries; in the last one it has sealed its channel. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stop.abort();
    await this.loop;
    await Promise.all(this.running);
  }

  private async consume(): Promise<void> {
    for await (const job of this.queue.jobs(this.stop.signal)) {
      // Jobs run side by side, and those that wait for their commit share a batch.
      const work: Promise<void> = this.handle(job).finally(() => this.running.delete(work));
      this.running.add(work);
    }
  }

  private async handle(job: Job): Promise<void> {
    const tokens = job.text.split(' ').length;
    try {
      await this.ledger.recordAndWait({
        userId: job.userId,
        promptTokens: tokens,
        idempotencyKey: `job:${job.id}`,
        createdAt: new Date(job.sentAt),
      });
      this.queue.acknowledge(job);
    } catch {
      // Not acknowledged, so the broker delivers it again.
    }
  }
}
