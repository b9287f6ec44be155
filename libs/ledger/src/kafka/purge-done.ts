import type { Admin } from '@platformatic/kafka';
import type { Clock } from '../clock/clock.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { classifyKafkaError } from './classify-kafka-error.js';
import type { PartitionLog } from './partition-log.js';

/**
 * Milliseconds between two purges: files are deleted as a whole, so a shorter interval gains
 * nothing.
 */
const PURGE_MS = 10_000;

/**
 * Deletes written messages from the topic, so that it only contains the backlog, like a queue.
 *
 * @internal
 */
export class Purge {
  #purgedAt = Number.NEGATIVE_INFINITY;
  #refusal: SinkHaltError | undefined;
  #isRefused = false;

  constructor(
    private readonly admin: Admin,
    private readonly topic: string,
    private readonly clock: Clock,
  ) {}

  /** @throws SinkHaltError once, if it may not delete */
  check(): void {
    const refusal = this.#refusal;
    this.#refusal = undefined;
    if (refusal !== undefined) throw refusal;
  }

  /**
   * Call after the progress of these logs was committed. Never rejects: the next purge deletes the
   * rest.
   */
  async run(logs: readonly PartitionLog[]): Promise<void> {
    const { admin, topic, clock } = this;
    if (this.#isRefused || clock.monotonic() - this.#purgedAt < PURGE_MS) return;
    this.#purgedAt = clock.monotonic();
    const partitions = logs.map(({ partition, committed: offset }) => ({ partition, offset }));
    try {
      await admin.deleteRecords({ topics: [{ name: topic, partitions }] });
    } catch (error) {
      const known = classifyKafkaError(error);
      if (!(known instanceof SinkHaltError)) return;
      this.#isRefused = true;
      this.#refusal = new SinkHaltError(
        `what was written can't be deleted from ${topic}, which grows: allow DELETE on it, or set ` +
          `purge: false and its retention.ms (${known.message})`,
        { cause: error },
      );
    }
  }
}
