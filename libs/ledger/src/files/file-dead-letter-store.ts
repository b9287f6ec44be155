import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import { NdjsonWriter, type NdjsonWriterOptions } from './ndjson-writer.js';
import { deadLetterLine } from './set-aside-line.js';

/** Keeps dead letters in files, fsynced with each call. @internal */
export class FileDeadLetterStore implements LedgerDeadLetterStore {
  readonly #writer: NdjsonWriter;
  #isClosed = false;

  constructor(options: Omit<NdjsonWriterOptions, 'kind'>) {
    this.#writer = new NdjsonWriter({ ...options, kind: 'dead-letters' });
  }

  async store(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    await this.#writer.write(letters.map(deadLetterLine));
    // Close it here: a slow store may fail, or a time limit pass, after the end.
    if (this.#isClosed) await this.close();
  }

  /**
   * Gives the open file its final name; a later letter starts another file, which is closed at
   * once. Never rejects.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writer.finish().catch(() => {});
  }
}
