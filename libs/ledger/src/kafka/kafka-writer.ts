import type { Admin } from '@platformatic/kafka';
import { systemClock as clock } from '../clock/clock.js';
import { SinkTransientError } from '../errors/sink.errors.js';
import type { StreamHeaders, StreamMessage, TakeLimits } from '../ports/ledger-stream.interface.js';
import { classifyKafkaError } from './classify-kafka-error.js';
import { GroupMember } from './group-member.js';
import type { KafkaClients } from './kafka-clients.js';
import type { ResolvedKafkaOptions } from './kafka-stream.options.js';
import { PartitionLog } from './partition-log.js';
import { PartitionReader } from './partition-reader.js';
import { Purge } from './purge-done.js';
import { WakeUp } from './wake-up.js';

/** Longest wait without a look at silent changes. */
const LOOK_MS = 1000;

/** Time for a cluster to make its topic of offsets, for its first group, and to elect leaders. */
const PATIENCE_MS = 15_000;

/** The topic of a writer, and the messages that it reads. */
export interface WriterTopic {
  readonly topic: string;
  readonly group: string;
  readonly reads: (headers: StreamHeaders) => boolean;
  /** The columns that it publishes to the group; empty: none. */
  readonly columns: string;
}

/**
 * A writer's end of the stream: the partitions assigned by the group, with messages from each of
 * them in turn.
 *
 * @internal
 */
export class KafkaWriter {
  readonly #member: GroupMember;
  readonly #reader: PartitionReader;
  readonly #purge: Purge | undefined;
  readonly #wakeUp = new WakeUp(clock);
  readonly #end = new AbortController();
  /** Index of the partition to ask first the next time. */
  #turn = 0;

  constructor(
    clients: KafkaClients,
    admin: Admin,
    { purge }: ResolvedKafkaOptions,
    { topic, group, reads, columns }: WriterTopic,
  ) {
    const changed = (): void => this.#wakeUp.call();
    const now = (): number => clock.monotonic();
    this.#purge = purge ? new Purge(admin, topic, clock) : undefined;
    const settled = (): void => {
      this.#member.commitLater();
      changed();
    };
    this.#member = new GroupMember({
      ...{ clients, topic, group, columns, clock, changed },
      makeLog: (start) => new PartitionLog({ ...start, reads, now, changed: settled }),
      isTopicMissing: () => this.#reader.isTopicMissing,
      committed: (logs) => void this.#purge?.run(logs),
    });
    // Not the member's client: a request that waits for messages would delay the signs of life.
    const consumer = clients.consumer(group);
    consumer.topics.track(topic);
    const sized = (partitions: number): void => this.#member.noteSize(partitions);
    const replaced = (): void => this.#member.restart();
    this.#reader = new PartitionReader({ consumer, topic, clock, changed, sized, replaced });
  }

  /** Resolves once it is in the group. @throws SinkTransientError, SinkHaltError */
  async joined(signal: AbortSignal | undefined): Promise<void> {
    const ends = [this.#end.signal, ...(signal === undefined ? [] : [signal])];
    const end = AbortSignal.any(ends);
    const patientUntil = clock.monotonic() + PATIENCE_MS;
    this.#member.join();
    while (!this.#member.isJoined && !end.aborted) {
      const { failure } = this.#member;
      const known = failure === undefined ? undefined : classifyKafkaError(failure);
      const isPatient = known instanceof SinkTransientError && clock.monotonic() < patientUntil;
      if (known !== undefined && !isPatient) throw known;
      await this.#wakeUp.wait(LOOK_MS, end);
    }
  }

  /** @throws SinkTransientError, SinkHaltError, and the client's errors */
  async take({ waitMs, ...limits }: TakeLimits, signal: AbortSignal): Promise<StreamMessage[]> {
    const until = clock.monotonic() + waitMs;
    const end = AbortSignal.any([signal, this.#end.signal]);
    while (!end.aborted) {
      const { logs, failure } = this.#member;
      const taken = takeFrom(logs, this.#turn++, limits);
      this.#reader.fill(logs);
      if (taken.length > 0) return taken;
      this.#purge?.check();
      this.#reader.check();
      if (failure !== undefined) throw classifyKafkaError(failure);
      const leftMs = until - clock.monotonic();
      if (leftMs <= 0) break;
      await this.#wakeUp.wait(Math.min(leftMs, this.#nextMs(), LOOK_MS), end);
    }
    return [];
  }

  /** Milliseconds until the next postponed message is due. */
  #nextMs(): number {
    const next = Math.min(...this.#member.logs.map(({ nextAt }) => nextAt));
    return Math.max(1, next - clock.monotonic());
  }

  /** Commits the progress. Never rejects. */
  async commit(): Promise<void> {
    await this.#member.commit();
  }

  /** Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    this.#end.abort();
    await this.#member.close(timeoutMs);
  }
}

/** Available messages, from one partition after the other. */
function takeFrom(
  logs: readonly PartitionLog[],
  turn: number,
  limits: { readonly messages: number; readonly bytes: number },
): StreamMessage[] {
  const taken: StreamMessage[] = [];
  let left = Number.POSITIVE_INFINITY;
  for (let i = 0; i < logs.length; i++) {
    const log = logs[(turn + i) % logs.length]!;
    while (taken.length < limits.messages && left > 0) {
      const message = log.next(left);
      if (message === undefined) break;
      if (taken.length === 0) left = limits.bytes;
      taken.push(message);
      left -= message.payload.length;
    }
  }
  return taken;
}
