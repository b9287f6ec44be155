import { crc32 } from 'node:zlib';
import type { StoredSlab } from '../channel/stored-slab.js';
import type { Slab } from '../codec/slab.js';
import { rowEndsOf } from '../segments/row-frame.js';
import { decodeFrameHeader, FRAME_HEADER_BYTES, FRAME_KINDS } from '../segments/segment-format.js';
import type { JournalFile } from './journal-file.js';

/** What is read at once, at least: the rows of a slab with headers of small frames. */
const WINDOW_BYTES = 2_097_152;

interface Start {
  readonly file: JournalFile;
  readonly offset: number;
}

/** Knows where the rows of each slab begin on disk, and reads them back. @internal */
export class StoredRows {
  readonly #starts = new Map<number, Start>();
  readonly #columns: number;

  /** @param columns of a row */
  constructor(columns: number) {
    this.#columns = columns;
  }

  /** The next frame of the file holds the first row of a slab. @param position of that row */
  note(position: number, file: JournalFile): void {
    this.#starts.set(position, { file, offset: file.bytes });
  }

  /** Forgets slabs whose rows are settled. @param mark every row before it is */
  prune(mark: number): void {
    for (const position of this.#starts.keys()) {
      // A slab may begin before the mark and end behind it: that one was taken, and is in memory.
      if (position >= mark) return;
      this.#starts.delete(position);
    }
  }

  /** @throws Error if a row is not there, or not as it was written; the slab may hold some rows then */
  async load(stored: StoredSlab, slab: Slab): Promise<void> {
    const end = stored.position + stored.count;
    const start = this.#starts.get(stored.position);
    let next = stored.position;
    let offset = start?.offset ?? 0;
    for (let file = start?.file; file !== undefined && next < end; file = file.next, offset = 0) {
      next = await this.#loadFrom(file, offset, { next, end, at: stored.appendedAt(0) }, slab);
    }
    if (next < end) throw new Error(`row ${next} is not in the journal`);
  }

  async #loadFrom(
    file: JournalFile,
    from: number,
    { next, end, at }: { next: number; end: number; at: number },
    slab: Slab,
  ): Promise<number> {
    let offset = Math.max(from, file.start);
    let position = next;
    while (position < end && offset < file.bytes) {
      const window = await file.read(offset, Math.min(WINDOW_BYTES, file.bytes - offset));
      let used = 0;
      while (position < end && used + FRAME_HEADER_BYTES <= window.length) {
        const frame = decodeFrameHeader(
          window.subarray(used, used + FRAME_HEADER_BYTES),
          file.seed,
        );
        if (frame === undefined) throw new Error('there is no frame');
        const behind = used + FRAME_HEADER_BYTES + frame.bytes;
        if (behind > window.length) break;
        const bytes = window.subarray(used + FRAME_HEADER_BYTES, behind);
        used = behind;
        if (crc32(bytes) !== frame.crc) throw new Error('a frame is damaged');
        if (frame.kind !== FRAME_KINDS.rows) continue;
        const ends = rowEndsOf(bytes, frame.rows, this.#columns);
        if (ends === undefined) throw new Error('a frame holds no whole rows');
        for (let row = 0; row < frame.rows && position < end; row++) {
          if (frame.position + row !== position) continue;
          const rowStart = row === 0 ? 0 : ends[row - 1]!;
          const slabEnd = slab.end;
          bytes.copy(slab.bytes, slabEnd, rowStart, ends[row]);
          slab.append(slabEnd + ends[row]! - rowStart, at);
          position++;
        }
      }
      if (used === 0) throw new Error('a frame is longer than any that is written');
      offset += used;
    }
    return position;
  }
}
