import { existsSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { fileNameOf, finishedPath, OPEN_ENDING } from '../files/file-names.js';
import { prepareFolderSync } from '../files/private-folder.js';
import type { RowSpill, SpilledRows } from '../ports/spill-store.interface.js';
import { describeSegment, type SegmentTarget } from './segment-description.js';
import { SegmentWriter } from './segment-writer.js';

/** A file is finished at this size, and the next one begins, like files of lines. */
const MAX_FILE_BYTES = 64 * 1_048_576;
/** A file without rows for this long is finished, so that a replay may take it. */
const IDLE_MS = 1000;
/**
 * Milliseconds for which a file system is not tried after a refusal, so that `record()` stays fast.
 */
const REST_MS = 1000;

/** Dependencies of a spill to segments. @internal */
export interface SegmentSpillParts {
  /** Created when first needed. */
  readonly dir: string;
  readonly table: LedgerTable;
  /** Eight hex digits. */
  readonly run: string;
  /** Called for each file: a database is known only once there is a connection. */
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
 * Spills rows to segments in a folder, synchronously.
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

  /** Calls back when a file was created, and when none is open any more; must not throw. */
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
      // The rows in the file stay there; the disk may accept another file later.
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
      // Another ledger with this name and process uses it: the next number is free.
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

  /** Afterwards the next rows are tried at once, even if the file system has just refused some. */
  close(): void {
    this.#restsUntil = Number.NEGATIVE_INFINITY;
    this.#timer?.cancel();
    this.#timer = undefined;
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      file.writer.close();
      // In a finished file, a reader considers half a frame as damage.
      if (file.writer.isWhole) renameSync(file.path, finishedPath(file.path));
    } catch {
      // It keeps the name of an unfinished file, which a replay reads too.
    }
    this.#tell(false);
  }

  #tell(isOpen: boolean): void {
    for (const watcher of this.#watchers) watcher(isOpen);
  }
}
