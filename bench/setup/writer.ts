import type { WriterInput, WriterOrder } from '../processes/writer.process.js';
import { Child } from './child.js';
import type { LoopReport } from './loop-watch.js';

/** The result of an order. */
export interface WriterReport {
  /** First record() to last commit, or to the stream's last answer. */
  readonly ms: number;
  readonly loop: LoopReport;
  /** Written or published entries. */
  readonly written: number;
  readonly dropped: number;
  /** Milliseconds of CPU of the process, including its load. */
  readonly cpuMs: number;
  /** Milliseconds of each flush. */
  readonly flushes: readonly number[];
}

/** An entry whose path to the table is watched. */
export interface Probe {
  readonly uuid: string;
  /** Milliseconds since 1970 of its recording. */
  readonly at: number;
}

/** A ledger in a separate process. */
export class Writer {
  private constructor(private readonly child: Child) {}

  static async start(input: WriterInput): Promise<Writer> {
    const child = new Child('writer', input);
    await child.next();
    return new Writer(child);
  }

  /** @param onProbe called with each probe as it is recorded, if the order includes probes */
  async run(
    order: Omit<WriterOrder, 'isProbed'>,
    onProbe?: (probe: Probe) => void,
  ): Promise<WriterReport> {
    this.child.send({ ...order, isProbed: onProbe !== undefined });
    for (;;) {
      const message = await this.child.next<Probe | WriterReport>();
      if (!('uuid' in message)) return message;
      onProbe?.(message);
    }
  }

  async end(): Promise<void> {
    this.child.send({ isOver: true });
    await this.child.end();
  }
}
