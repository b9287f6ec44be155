import type { WriterInput, WriterOrder } from '../processes/writer.process.js';
import { Child } from './child.js';
import type { LoopReport } from './loop-watch.js';

/** What became of an order. */
export interface WriterReport {
  /** First record() to last commit. */
  readonly ms: number;
  readonly loop: LoopReport;
  readonly written: number;
  readonly dropped: number;
  /** Milliseconds of CPU of the process, the load it makes itself included. */
  readonly cpuMs: number;
  /** Milliseconds of each flush. */
  readonly flushes: readonly number[];
}

/** An entry whose way to the table is watched. */
export interface Probe {
  readonly uuid: string;
  /** Milliseconds since 1970 when it was recorded. */
  readonly at: number;
}

/** A ledger in a process of its own. */
export class Writer {
  private constructor(private readonly child: Child) {}

  static async start(input: WriterInput): Promise<Writer> {
    const child = new Child('writer', input);
    await child.next();
    return new Writer(child);
  }

  /** @param onProbe told of each probe as it is recorded, if the order asks for probes */
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
