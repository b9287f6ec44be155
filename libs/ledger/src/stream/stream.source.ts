import { Batch, type RowRange } from '../channel/batch.js';
import { MAX_BATCH_BYTES } from '../channel/channel.js';
import type { Clock } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { GivenFields } from '../journal/fit-row.js';
import type {
  LedgerStream,
  StreamHeaders,
  StreamMessage,
} from '../ports/ledger-stream.interface.js';
import type { Counters } from '../stats/counters.js';
import type { Assignment, BatchSource } from '../writer/batch-source.interface.js';
import { retryDelayMs, type RetryBounds } from '../writer/retry-policy.js';
import { isForReader } from './message-format.js';
import { MessageBlock } from './message-block.js';
import { readMessage } from './read-message.js';
import { formatColumns, layoutOf } from './row-layout.js';
import type { StreamFigures } from './stream-figures.js';
import { SignsOfLife } from './signs-of-life.js';
import type { StreamTrouble } from './stream-trouble.js';
import type { UnreadableKeeper } from './unreadable-keeper.js';

/** Milliseconds that one `take` waits for a message; a stop ends it early. */
const WAIT_MS = 30_000;
/** The same after a failure, until whose end health reports an unreachable stream. */
const WAIT_BEHIND_FAILURE_MS = 1000;
/** Maximum messages that one `take` requests, however few rows they have. */
const MOST_MESSAGES = 1000;
/** Weight of the last messages in the average of rows per message. */
const NEW_WEIGHT = 0.2;

/** Dependencies of a stream source. */
export interface StreamSourceParts {
  readonly stream: LedgerStream;
  readonly table: LedgerTable;
  /**
   * Values for columns that messages of an older definition lack; called once the server was
   * reached.
   */
  readonly given: () => GivenFields;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Target rows of one batch. */
  readonly batchSize: number;
  /** Pauses after a failed `take`. */
  readonly retry: RetryBounds;
  /** A number from 0 up to, but not including, 1. */
  readonly random: () => number;
  readonly unreadable: UnreadableKeeper;
  readonly trouble: StreamTrouble;
  readonly figures: StreamFigures;
}

/**
 * Batches published by gateways. It takes messages only while a worker is idle, so this process
 * holds only rows that its workers write; any other writer can take the rest. A message is done
 * after its last row has its final fate, so a writer may die at any time.
 *
 * @internal
 */
export class StreamSource implements BatchSource {
  /** Rows that a worker took and that are not settled. */
  held = 0;
  head = 0;
  readonly #parts: StreamSourceParts;
  readonly #idle: ((assignment: Assignment | undefined) => void)[] = [];
  /**
   * Messages beyond those of the idle workers, taken because they had more rows than the last ones.
   */
  readonly #ready: MessageBlock[][] = [];
  /** Unfinished messages: with a worker, or ready. */
  readonly #unsettled = new Set<MessageBlock>();
  readonly #signs: SignsOfLife;
  readonly #end = new AbortController();
  #isOpen = false;
  #isTaking = false;
  #isStopped = false;
  #hasLeft = false;
  #rowsPerMessage = Number.POSITIVE_INFINITY;
  #failures = 0;

  constructor(parts: StreamSourceParts) {
    this.#parts = parts;
    this.#signs = new SignsOfLife(parts.stream, parts.clock);
    parts.figures.countUnacknowledged(() => this.#signs.size);
  }

  /** No worker waits for messages in the stream. */
  get tail(): number {
    return this.head;
  }

  /** The reason why no message arrives. */
  get trouble(): string | undefined {
    return this.#parts.trouble.reason;
  }

  /** Messages that no writer reads. */
  get notice(): string | undefined {
    return this.#parts.figures.watch.notice;
  }

  get dueAt(): number | undefined {
    return this.held > 0 ? 0 : undefined;
  }

  next(accept: (assignment: Assignment | undefined) => void): void {
    if (this.#isStopped) return accept(undefined);
    this.#idle.push(accept);
    this.#hand();
    void this.#take();
  }

  withdraw(accept: (assignment: Assignment | undefined) => void): void {
    const index = this.#idle.indexOf(accept);
    if (index === -1) return;
    this.#idle.splice(index, 1);
    accept(undefined);
  }

  /** Assigns batches to idle workers. */
  #hand(): void {
    while (this.#idle.length > 0 && this.#ready.length > 0) {
      const assignment = this.#assign(this.#ready.shift()!);
      this.#idle.shift()!(assignment);
    }
  }

  /** Takes messages while a worker is idle. Never rejects. */
  async #take(): Promise<void> {
    if (this.#isTaking) return;
    this.#isTaking = true;
    const { stream, trouble } = this.#parts;
    const { signal } = this.#end;
    while (this.#idle.length > 0 && !signal.aborted) {
      try {
        await this.#open(signal);
        const messages = await stream.take(this.#limits(), signal);
        this.#failures = 0;
        trouble.reached();
        await this.#receive(messages);
      } catch (error) {
        trouble.failed(error);
        await this.#pause();
      }
    }
    this.#isTaking = false;
  }

  async #open(signal: AbortSignal): Promise<void> {
    if (this.#isOpen) return;
    const { stream, table } = this.#parts;
    const { fingerprint, columns } = layoutOf(table);
    const reads = (headers: StreamHeaders): boolean => isForReader(headers, columns);
    const topic = { ledger: table.name, fingerprint, reads, columns: formatColumns(columns) };
    await stream.open(topic, signal);
    this.#isOpen = true;
    this.#parts.figures.watch.start();
  }

  #limits(): { messages: number; bytes: number; waitMs: number } {
    const messages = Math.floor(this.#parts.batchSize / this.#rowsPerMessage);
    const most = Math.min(MOST_MESSAGES, Math.max(1, messages));
    const waitMs = this.#failures > 0 ? WAIT_BEHIND_FAILURE_MS : WAIT_MS;
    return { messages: most, bytes: MAX_BATCH_BYTES, waitMs };
  }

  /** Ends early at a stop. */
  #pause(): Promise<void> {
    const { clock, retry, random } = this.#parts;
    const { signal } = this.#end;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = clock.after(retryDelayMs(++this.#failures, retry, random()), end);
      signal.addEventListener('abort', end);
    });
  }

  async #receive(messages: readonly StreamMessage[]): Promise<void> {
    if (this.#end.signal.aborted) return giveBack(messages);
    const { table, given, clock, figures } = this.#parts;
    figures.noteRedelivered(messages.filter(({ redeliveries }) => redeliveries > 0).length);
    const blocks: MessageBlock[] = [];
    const faults = new Map<StreamMessage, string>();
    for (const message of messages) {
      const read = readMessage(message, table, clock.monotonic(), given());
      if ('fault' in read) faults.set(message, read.fault);
      else blocks.push(read);
    }
    for (const message of messages) this.#signs.add(message);
    for (const block of blocks) this.#unsettled.add(block);
    if (blocks.length > 0) {
      this.#noteSizes(blocks);
      this.#ready.push(...this.#grouped(blocks));
      this.#hand();
    }
    // After the others: a dead letter may wait for the database, and must not delay other messages.
    for (const [message, fault] of faults) await this.#keepUnreadable(message, fault);
  }

  async #keepUnreadable(message: StreamMessage, fault: string): Promise<void> {
    await this.#parts.unreadable.keep(message, fault);
    this.#signs.delete(message);
  }

  #noteSizes(blocks: readonly MessageBlock[]): void {
    const rows = rowsIn(blocks) / blocks.length;
    const before = this.#rowsPerMessage;
    this.#rowsPerMessage =
      before === Number.POSITIVE_INFINITY ? rows : before + NEW_WEIGHT * (rows - before);
  }

  /** Messages of up to `batchSize` rows together, or a single one with more. */
  #grouped(blocks: readonly MessageBlock[]): MessageBlock[][] {
    const groups: MessageBlock[][] = [];
    let rows = Number.POSITIVE_INFINITY;
    for (const block of blocks) {
      if (rows + block.rows > this.#parts.batchSize) {
        groups.push([]);
        rows = 0;
      }
      groups.at(-1)!.push(block);
      rows += block.rows;
    }
    return groups;
  }

  #assign(blocks: readonly MessageBlock[]): Assignment {
    const { counters, batchSize } = this.#parts;
    const ranges = blocks.map((block): RowRange<MessageBlock> => {
      const range = { slab: block, from: 0, to: block.rows, position: this.head };
      this.head += block.rows;
      return range;
    });
    const batch = new Batch(ranges);
    counters.received += batch.count;
    this.held += batch.count;
    // A redelivered message may have been written by another writer or this one.
    const mayExist = blocks.some(({ message }) => message.redeliveries > 0);
    const due = batch.count >= batchSize ? 'full' : 'old';
    // The stream removes the rows after the commit, so the commit must be durable with any default
    // of the server.
    return { batch, due, awaited: [], isAwaited: true, mayExist };
  }

  settle(batch: Batch): void {
    this.held -= batch.count;
    for (const { slab, from, to } of batch.ranges) {
      // All batches of this source consist of message blocks.
      const block = slab as MessageBlock;
      block.unsettled -= to - from;
      if (block.unsettled > 0) continue;
      this.#forget(block);
      if (block.isLeftBehind) block.message.later(this.#parts.retry.maxMs);
      else block.message.done();
    }
  }

  #forget(block: MessageBlock): void {
    this.#unsettled.delete(block);
    this.#signs.delete(block.message);
  }

  /** The whole message is delivered again; its other rows are then duplicates. */
  leaveBehind({ ranges }: Batch): string {
    for (const { slab } of ranges) (slab as MessageBlock).isLeftBehind = true;
    return 'the stream';
  }

  done(): void {}

  /** Taken messages are always written as soon as possible. */
  flushUntil(): void {}

  /** The stream keeps the rest, and other writers continue with it. */
  drain(): void {
    this.seal();
  }

  seal(): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    this.#parts.figures.watch.stop();
    // No worker had them, so another writer need not wait for this one's end.
    for (const block of this.#ready.splice(0).flat()) {
      this.#forget(block);
      block.message.later(0);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.seal();
    for (const accept of this.#idle.splice(0)) accept(undefined);
  }

  takeAll(): Assignment[] {
    return [];
  }

  /** Returns unsettled rows to the stream at once; they stay `held` here. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.stop();
    for (const block of [...this.#unsettled]) {
      this.#forget(block);
      block.message.later(0);
    }
  }
}

function rowsIn(blocks: readonly MessageBlock[]): number {
  return blocks.reduce((sum, { rows }) => sum + rows, 0);
}

function giveBack(messages: readonly StreamMessage[]): void {
  for (const message of messages) message.later(0);
}
