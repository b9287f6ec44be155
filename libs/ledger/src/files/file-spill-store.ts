import type { SpilledEntry, SpillStore } from '../ports/spill-store.interface.js';
import { NdjsonWriter, type NdjsonWriterOptions } from './ndjson-writer.js';
import { spilledLine } from './set-aside-line.js';

/**
 * Spills entries to files in a folder. Entries are read and written in portions, so that a million
 * of them need no more memory than a few hundred.
 *
 * @internal
 */
export class FileSpillStore implements SpillStore {
  readonly #writer: NdjsonWriter;

  constructor(options: Omit<NdjsonWriterOptions, 'kind'>) {
    this.#writer = new NdjsonWriter({ ...options, kind: 'spill' });
  }

  probe(): Promise<string | undefined> {
    return this.#writer.probe();
  }

  /** `file` is the first if there are several. */
  async spill(entries: Iterable<SpilledEntry>): Promise<{ file: string; entries: number }> {
    const { file, lines } = await this.#writer.write(linesOf(entries, Date.now()));
    await this.#writer.finish();
    return { file, entries: lines };
  }
}

function* linesOf(entries: Iterable<SpilledEntry>, spilledAt: number): Generator<string, void> {
  for (const entry of entries) yield spilledLine(entry, spilledAt);
}
