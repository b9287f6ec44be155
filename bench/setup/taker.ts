import type { TakerEnd, TakerInput, TakerOrder, TakerReport } from '../processes/taker.process.js';
import { Child } from './child.js';

/** A writer of a stream in a separate process. */
export class Taker {
  #reading: Promise<TakerEnd> = Promise.resolve({ cpuMs: 0 });

  private constructor(private readonly child: Child) {}

  static async start(input: TakerInput): Promise<Taker> {
    const child = new Child('taker', input);
    await child.next();
    return new Taker(child);
  }

  /**
   * Lets it write; resolves when its table is ready. @param onRows called with rows as they are
   * committed
   */
  async resume(onRows: (rows: number) => void): Promise<void> {
    this.#order({ runs: true });
    await this.child.next();
    this.#reading = this.#read(onRows);
  }

  async #read(onRows: (rows: number) => void): Promise<TakerEnd> {
    for (;;) {
      const message = await this.child.next<TakerReport | TakerEnd>();
      if (!('rows' in message)) return message;
      onRows(message.rows);
    }
  }

  /** Stops it; resolves when it has closed its connections. */
  pause(): Promise<TakerEnd> {
    this.#order({ runs: false });
    return this.#reading;
  }

  async end(): Promise<void> {
    this.#order({ runs: false });
    await this.child.end();
  }

  #order(order: TakerOrder): void {
    this.child.send(order);
  }
}
