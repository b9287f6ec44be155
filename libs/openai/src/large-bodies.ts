import { refusalForRoom, refusalOf } from './body-refusals.js';
import type { Splice } from './json-members.js';
import type { BodyFacts, ReadBody } from './large-body-tasks.js';
import type { PlannedEcho } from './plan-echo.js';
import { TaskFailedError, TasksFullError, TaskThread } from './task-thread.js';

/** Bodies that wait to be read; reading one of 16 MiB takes 0.1 to 0.3 s. */
const MAX_READS_WAITING = 32;

/** Far above the time for any body on a machine that is not overloaded. */
const READ_DEADLINE_MS = 15_000;

/** Prompts that wait to be counted; further ones are estimated. */
const MAX_COUNTS_WAITING = 32;

/** At worst 3 µs a character, so 10 million characters; a longer count is estimated. */
const COUNT_DEADLINE_MS = 30_000;

/** For English text and its JSON. */
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

/** A large body that was read. Only the content needed for metering is known. */
export class LargeBody {
  constructor(
    private readonly counting: TaskThread,
    private own: Buffer,
    private readonly facts: BodyFacts,
    private readonly caller: string,
  ) {}

  /** The received bytes; not to be read during `planEcho`. */
  get bytes(): Buffer {
    return this.own;
  }

  /** `model`, `user`, `stream` and `stream_options.include_usage`. */
  get json(): unknown {
    return this.facts.json;
  }

  /** The body with `stream_options.include_usage`, all other bytes unchanged. */
  askingForUsage(): Buffer {
    const { askForUsage: splice } = this.facts;
    return splice ? spliced(this.bytes, splice) : this.bytes;
  }

  /**
   * Tokens of its prompt. Estimated from its bytes if too many prompts wait, or if counting takes
   * too long. Never rejects.
   *
   * @param endpoint a name of `endpoints`
   */
  async countPrompt(endpoint: string): Promise<number> {
    const { bytes, caller } = this;
    // With a copy of the bytes, which may be on their way to the upstream.
    const task = { name: 'count', bytes, endpoint, caller, lendsBytes: false } as const;
    return this.counting.run<number>(task).then(
      ({ result }) => result,
      () => Math.ceil(bytes.length / BYTES_PER_TOKEN),
    );
  }

  /**
   * Plans the built-in provider's answer. The bytes are lost if it throws.
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
