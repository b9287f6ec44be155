import { StoredSlab } from '../channel/stored-slab.js';
import type { Slab } from '../codec/slab.js';
import type { JournalFile } from './journal-file.js';
import { wholeFrames, type RowFrame } from './whole-frames.js';

interface Start {
  readonly file: JournalFile;
  readonly offset: number;
}

/** Rows of a slab that are being read back. */
interface Loading {
  readonly stored: StoredSlab;
  readonly pieces: (Slab | StoredSlab)[];
  /** Receives the next rows; undefined: rows before them are missing. */
  slab: Slab | undefined;
  /** Position of the next row. */
  position: number;
}

/** Remembers where the rows of each slab begin on disk, and reads them back. @internal */
export class StoredRows {
  readonly #starts = new Map<number, Start>();
  readonly #columns: number;

  /** @param columns number of columns of a row */
  constructor(columns: number) {
    this.#columns = columns;
  }

  /**
   * Notes that the next frame of the file contains the first row of a slab.
   * @param position of that row
   */
  note(position: number, file: JournalFile): void {
    this.#starts.set(position, { file, offset: file.bytes });
  }

  /** Forgets slabs whose rows are settled. @param mark every row before it is settled */
  prune(mark: number): void {
    for (const position of this.#starts.keys()) {
      // A slab that begins before the mark and ends after it was taken, and is in memory.
      if (position >= mark) return;
      this.#starts.delete(position);
    }
  }

  /**
   * Reads the rows of a slab back, in several pieces if some can't be read.
   *
   * @param take returns an empty slab
   * @returns the pieces in order: slabs, and stored ones for rows lost to this process
   * @throws the file system's error
   */
  async load(stored: StoredSlab, take: () => Slab): Promise<(Slab | StoredSlab)[]> {
    const end = stored.position + stored.count;
    const start = this.#starts.get(stored.position);
    const loading: Loading = { stored, pieces: [], slab: undefined, position: stored.position };
    let from = start?.offset ?? 0;
    let file = start?.file;
    let last = file;
    for (; file !== undefined && loading.position < end; file = file.next, from = 0) {
      last = file;
      for await (const frame of wholeFrames(file, from, this.#columns)) {
        // After a fault of the file system some rows are in two files.
        if (frame.position + frame.rows <= loading.position) continue;
        const first = Math.min(frame.position, end);
        if (first > loading.position) lose(loading, first, file);
        if (loading.position < end) addRows(loading, frame, end, take);
        if (loading.position >= end) break;
      }
    }
    if (loading.position < end) lose(loading, end, last);
    return withBytes(loading.pieces, stored.rowBytes);
  }

  /**
   * Marks all rows as unreadable, so that the file in which they begin is not unlinked.
   * @param isGone the file was removed
   */
  lose(stored: StoredSlab, isGone: boolean): StoredSlab {
    const file = this.#starts.get(stored.position)?.file;
    if (file !== undefined) file.damage ??= "it can't be read";
    const lost = stored.lost(stored.position, stored.count, file?.path, isGone);
    lost.rowBytes = stored.rowBytes;
    return lost;
  }
}

/** Marks the rows before a position as unreadable. */
function lose(loading: Loading, until: number, file: JournalFile | undefined): void {
  const { stored, position } = loading;
  if (file !== undefined) file.damage ??= 'rows are missing';
  loading.pieces.push(stored.lost(position, until - position, file?.path));
  loading.position = until;
  loading.slab = undefined;
}

function addRows(loading: Loading, frame: RowFrame, end: number, take: () => Slab): void {
  const { bytes, ends } = frame;
  const first = loading.position - frame.position;
  const last = Math.min(frame.rows, end - frame.position);
  if (loading.slab === undefined) {
    loading.slab = take();
    loading.slab.position = loading.position;
    loading.pieces.push(loading.slab);
  }
  const { slab, stored } = loading;
  const from = first === 0 ? 0 : ends[first - 1]!;
  const shift = slab.end - from;
  bytes.copy(slab.bytes, slab.end, from, ends[last - 1]);
  for (let row = first; row < last; row++) slab.append(ends[row]! + shift, stored.appendedAt(0));
  loading.position = frame.position + last;
}

/**
 * The pieces together have the bytes of the whole slab: bytes missing in the slabs were in the
 * first lost piece.
 */
function withBytes(pieces: (Slab | StoredSlab)[], rowBytes: number): (Slab | StoredSlab)[] {
  let left = rowBytes;
  for (const piece of pieces) if (!(piece instanceof StoredSlab)) left -= piece.end;
  const lost = pieces.find((piece) => piece instanceof StoredSlab);
  if (lost !== undefined) lost.rowBytes = left;
  return pieces;
}
