import { existsSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { fileNameOf, finishedPath, OPEN_ENDING } from '../files/file-names.js';
import { prepareFolderSync } from '../files/private-folder.js';
import type { RowSpill, SpilledRows } from '../ports/spill-store.interface.js';
import { describeSegment, type SegmentTarget } from './segment-description.js';
import { SegmentWriter } from './segment-writer.js';

/** A file is finished at this size, and the next one begun: as those of lines. */
const MAX_FILE_BYTES = 64 * 1_048_576;
/** A file that nothing came to for so long is finished: a replay may take it. */
const IDLE_MS = 1000;
/** A file system that refused is left alone for so long, so that `record()` stays quick. */
const REST_MS = 1000;

/** What a spill of segments is made of. @internal */
export interface SegmentSpillParts {
  /** Created when it is first needed. */
  readonly dir: string;
  readonly table: LedgerTable;
  /** Eight hex digits. */
  readonly run: string;
  /** Asked for each file: a database is known only once there is a connection. */
  readonly target: () => SegmentTarget;
  readonly clock: Clock;
  /** Default: 64 MiB. A file may be one frame larger. */
  readonly maxFileBytes?: number;
}

interface OpenFile {
  readonly writer: SegmentWriter;
  readonly path: string;
}

/**
 * Spills rows to segments in a folder, at once.
 *
 * No file -> open (`keep`) -> finished (`close`, the size, a second without rows, a failed write).
 *
 * @internal
 */
export class SegmentSpill implements RowSpill {
  readonly #parts: SegmentSpillParts;
  readonly #name: string;
  #number = 0;
  #file: OpenFile | undefined;
  #timer: Timer | undefined;
  /** Monotonic milliseconds. */
  #usedAt = 0;
  #restsUntil = Number.NEGATIVE_INFINITY;

  readonly #watchers: ((isOpen: boolean) => void)[] = [];

  constructor(parts: SegmentSpillParts) {
    this.#parts = parts;
    this.#name = fileNameOf('spill', parts.table.name);
  }

  /** Calls back when a file was begun, and when none is open any more; must not throw. */
  watch(watcher: (isOpen: boolean) => void): void {
    this.#watchers.push(watcher);
  }

  keep(rows: SpilledRows): string | undefined {
    const { clock, maxFileBytes = MAX_FILE_BYTES } = this.#parts;
    const now = clock.monotonic();
    if (now < this.#restsUntil) return undefined;
    try {
      const file = (this.#file ??= this.#open());
      file.writer.append(rows);
      this.#usedAt = now;
      if (file.writer.bytes >= maxFileBytes) this.close();
      else this.#timer ??= clock.after(IDLE_MS, () => this.#closeIdle());
      return finishedPath(file.path);
    } catch {
      // What is in the file stays there; the disk may take another one later.
      this.close();
      this.#restsUntil = now + REST_MS;
      return undefined;
    }
  }

  #open(): OpenFile {
    const { dir, table, run, target, clock } = this.#parts;
    prepareFolderSync(dir);
    const description = describeSegment(table, run, target(), clock.now());
    for (;;) {
      this.#number += 1;
      const path = join(dir, `${this.#name}-${this.#number}.wal${OPEN_ENDING}`);
      const writer = SegmentWriter.create(path, description);
      // Another ledger of this name and process has it: the next number is free.
      if (writer === undefined) continue;
      if (existsSync(finishedPath(path))) {
        writer.close();
        unlinkSync(path);
        continue;
      }
      this.#tell(true);
      return { writer, path };
    }
  }

  #closeIdle(): void {
    const { clock } = this.#parts;
    const leftMs = this.#usedAt + IDLE_MS - clock.monotonic();
    if (leftMs <= 0) return this.close();
    this.#timer = clock.after(leftMs, () => this.#closeIdle());
  }

  /** The next rows are tried at once, also where the file system has just refused some. */
  close(): void {
    this.#restsUntil = Number.NEGATIVE_INFINITY;
    this.#timer?.cancel();
    this.#timer = undefined;
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      file.writer.close();
      // A reader takes half a frame for damage where the name says that the file is finished.
      if (file.writer.isWhole) renameSync(file.path, finishedPath(file.path));
    } catch {
      // It keeps the name of an unfinished file, which a replay reads as well.
    }
    this.#tell(false);
  }

  #tell(isOpen: boolean): void {
    for (const watcher of this.#watchers) watcher(isOpen);
  }
}
