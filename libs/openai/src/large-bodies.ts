import { refusalForRoom, refusalOf } from './body-refusals.js';
import type { Splice } from './json-members.js';
import type { BodyFacts, ReadBody } from './large-body-tasks.js';
import type { PlannedEcho } from './plan-echo.js';
import { TaskFailedError, TasksFullError, TaskThread } from './task-thread.js';

/** Bodies that wait to be read; to read one of 16 MiB takes 0.1 to 0.3 s. */
const MAX_READS_WAITING = 32;

/** Far above what any body takes on a machine that is not overloaded. */
const READ_DEADLINE_MS = 15_000;

/** Prompts that wait to be counted: further ones are estimated. */
const MAX_COUNTS_WAITING = 32;

/** 3 µs a character at worst, so 10 million characters; what takes longer is estimated. */
const COUNT_DEADLINE_MS = 30_000;

/** Of English text and its JSON. */
const BYTES_PER_TOKEN = 4;

/**
 * Reads large bodies in threads, so that the event loop only collects their bytes: one thread that
 * parses and checks them, and one that counts prompts, which takes longer.
 */
export class LargeBodies {
  private readonly reading = new TaskThread(MAX_READS_WAITING, READ_DEADLINE_MS);
  private readonly counting = new TaskThread(MAX_COUNTS_WAITING, COUNT_DEADLINE_MS);

  /**
   * Parses and checks a body.
   *
   * @param bytes all of their own buffer; not to be used any more, see `LargeBody.bytes`
   * @throws BadRequestException if it is no JSON
   * @throws PayloadTooLargeException if it has too many elements, or reading it takes too much
   * @throws ServiceUnavailableException if too many bodies wait
   */
  async read(bytes: Buffer, caller: string): Promise<LargeBody> {
    const task = { name: 'read', bytes, caller, lendsBytes: true } as const;
    const read = await this.reading.run<ReadBody>(task).catch((error: unknown) => {
      throw refusalOfTask(error);
    });
    const { facts, fault } = read.result;
    if (facts) return new LargeBody(this.counting, asBuffer(read.bytes), facts, caller);
    throw refusalOf(fault);
  }
}

/** A large body that was read. What it says is known only as far as metering needs it. */
export class LargeBody {
  constructor(
    private readonly counting: TaskThread,
    private own: Buffer,
    private readonly facts: BodyFacts,
    private readonly caller: string,
  ) {}

  /** As they came; not to be read while `planEcho` is under way. */
  get bytes(): Buffer {
    return this.own;
  }

  /** `model`, `user`, `stream` and `stream_options.include_usage`. */
  get json(): unknown {
    return this.facts.json;
  }

  /** The body with `stream_options.include_usage`, all other bytes as they came. */
  askingForUsage(): Buffer {
    const { askForUsage: splice } = this.facts;
    return splice ? spliced(this.bytes, splice) : this.bytes;
  }

  /**
   * Tokens of its prompt. Estimated from its bytes where too many prompts wait to be counted, or
   * where counting takes too long. Never rejects.
   *
   * @param endpoint a name of `endpoints`
   */
  async countPrompt(endpoint: string): Promise<number> {
    const { bytes, caller } = this;
    // With a copy of the bytes: they may be on their way to the upstream.
    const task = { name: 'count', bytes, endpoint, caller, lendsBytes: false } as const;
    return this.counting.run<number>(task).then(
      ({ result }) => result,
      () => Math.ceil(bytes.length / BYTES_PER_TOKEN),
    );
  }

  /**
   * What the built-in provider answers. The bytes are gone if it throws.
   *
   * @throws PayloadTooLargeException if its prompt takes too long to count
   * @throws ServiceUnavailableException if too many prompts wait to be counted
   */
  async planEcho(): Promise<PlannedEcho> {
    const { bytes, caller } = this;
    const task = { name: 'plan', bytes, caller, lendsBytes: true } as const;
    const planned = await this.counting.run<PlannedEcho>(task).catch((error: unknown) => {
      throw refusalOfTask(error);
    });
    this.own = asBuffer(planned.bytes);
    return planned.result;
  }
}

function spliced(bytes: Buffer, { from, to, text }: Splice): Buffer {
  return Buffer.concat([bytes.subarray(0, from), Buffer.from(text, 'latin1'), bytes.subarray(to)]);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refusalOfTask(error: unknown): unknown {
  if (error instanceof TasksFullError) return refusalForRoom();
  if (!(error instanceof TaskFailedError)) return error;
  const message = 'The body is too large: it takes too much time or memory to read.';
  return refusalOf({ status: 413, message });
}
