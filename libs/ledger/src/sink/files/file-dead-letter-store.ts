import type { DeadLetter, LedgerDeadLetterStore } from '../dead-letter-store.interface.js';
import { NdjsonWriter, type NdjsonWriterOptions } from './ndjson-writer.js';
import { deadLetterLine } from './set-aside-line.js';

/** Keeps dead letters in files, fsynced with each call. @internal */
export class FileDeadLetterStore implements LedgerDeadLetterStore {
  readonly #writer: NdjsonWriter;

  constructor(options: Omit<NdjsonWriterOptions, 'kind'>) {
    this.#writer = new NdjsonWriter({ ...options, kind: 'dead-letters' });
  }

  async store(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length > 0) await this.#writer.write(letters.map(deadLetterLine));
  }

  /** Gives the open file its final name; a later letter begins another. Never rejects. */
  async close(): Promise<void> {
    await this.#writer.finish().catch(() => {});
  }
}
