import { EventEmitter, on } from 'node:events';

/** One message. A broker may deliver it again if nobody said in time that it is done. */
export interface Job {
  readonly id: string;
  readonly userId: number;
  readonly text: string;
  /** Milliseconds since 1970; the same at each delivery. */
  readonly sentAt: number;
}

/** Stands in for your broker: BullMQ, SQS, NATS, Kafka. */
export class JobQueue {
  readonly acknowledged: string[] = [];
  private readonly messages = new EventEmitter();

  send(job: Job): void {
    this.messages.emit('job', job);
  }

  acknowledge({ id }: Job): void {
    this.acknowledged.push(id);
  }

  /** All jobs sent from now on, until the signal ends it. */
  async *jobs(signal: AbortSignal): AsyncGenerator<Job> {
    try {
      for await (const [job] of on(this.messages, 'job', { signal })) yield job as Job;
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
