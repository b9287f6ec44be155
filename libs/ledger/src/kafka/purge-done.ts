import type { Admin } from '@platformatic/kafka';
import type { Clock } from '../clock/clock.js';
import { SinkHaltError } from '../errors/sink.errors.js';
import { classifyKafkaError, isUnknownTopic } from './classify-kafka-error.js';
import type { PartitionLog } from './partition-log.js';

/**
 * Milliseconds between two purges: files are deleted as a whole, so a shorter interval gains
 * nothing.
 */
const PURGE_MS = 10_000;
/** Pause after a refusal; by then the right may have been granted. */
const REFUSED_MS = 600_000;

/**
 * Deletes written messages from the topic, so that it only contains the backlog, like a queue.
 *
 * @internal
 */
export class Purge {
  /** Monotonic milliseconds of the next purge. */
  #dueAt = Number.NEGATIVE_INFINITY;
  #refusal: SinkHaltError | undefined;
  /** Whether a refusal was reported, and no purge has succeeded since. */
  #isTold = false;

  constructor(
    private readonly admin: Admin,
    private readonly topic: string,
    private readonly clock: Clock,
  ) {}

  /** @throws SinkHaltError if it may not delete; only once until a purge succeeds */
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
    if (clock.monotonic() < this.#dueAt) return;
    this.#dueAt = clock.monotonic() + PURGE_MS;
    const partitions = logs.map(({ partition, committed: offset }) => ({ partition, offset }));
    try {
      await admin.deleteRecords({ topics: [{ name: topic, partitions }] });
      this.#isTold = false;
    } catch (error) {
      const known = classifyKafkaError(error);
      // A missing topic is reported by those who read it.
      if (!(known instanceof SinkHaltError) || isUnknownTopic(error)) return;
      this.#dueAt = clock.monotonic() + REFUSED_MS;
      if (this.#isTold) return;
      this.#isTold = true;
      this.#refusal = new SinkHaltError(
        `what was written can't be deleted from ${topic}, which grows: allow DELETE on it, or set ` +
          `purge: false and its retention.ms (${known.message})`,
        { cause: error },
      );
    }
  }
}
