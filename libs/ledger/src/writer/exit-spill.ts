import type { RowRange } from '../channel/batch.js';
import type { Journal } from '../journal/journal.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { RowSpill } from '../ports/spill-store.interface.js';
import { atExit } from '../segments/at-exit.js';
import type { LossReporter } from '../stats/loss-reporter.js';
import type { BatchSource } from './batch-source.interface.js';
import type { BatchWriter } from './batch-writer.js';
import { countOf, type Leftover } from './leftover.js';
import type { Settler } from './settler.js';
import type { Shutdown } from './shutdown.js';

/** Rows are handed to the file in blocks of about this size: a slab's. */
const BLOCK_BYTES = 1_048_576;

/** What the exit spill is made of. */
export interface ExitSpillParts {
  readonly source: BatchSource;
  readonly writer: BatchWriter;
  readonly shutdown: Shutdown;
  readonly settler: Settler;
  /** Has every accepted row on disk already; undefined: they are in memory only. */
  readonly journal: Journal | undefined;
  /** Takes what no journal has. Undefined: it is lost with the process. */
  readonly spill: RowSpill | undefined;
  readonly losses: LossReporter;
  readonly logger: LedgerLogger;
}

/**
 * Spills what a ledger holds when the process exits without a shutdown: `process.exit()`, an
 * exception, an event loop with nothing left to do. Rows that are in flight may be in the table
 * already: they are spilled as well, and a replay skips them by their uuids.
 *
 * @internal
 */
export class ExitSpill {
  readonly #parts: ExitSpillParts;
  #takeBack: (() => void) | undefined;
  #hasEnded = false;
  #isFileOpen = false;

  constructor(parts: ExitSpillParts) {
    this.#parts = parts;
    parts.shutdown.whenEnded(() => {
      this.#hasEnded = true;
      if (!this.#isFileOpen) this.#disarm();
    });
  }

  /** From now on an exit of the process is heard, until the ledger has ended with nothing left. */
  arm(): void {
    this.#takeBack ??= atExit(() => this.run());
  }

  /** After the end there is something to do at the exit again while a file of late rows is open. */
  noteFile(isOpen: boolean): void {
    this.#isFileOpen = isOpen;
    if (isOpen) this.arm();
    else if (this.#hasEnded) this.#disarm();
  }

  #disarm(): void {
    this.#takeBack?.();
    this.#takeBack = undefined;
  }

  /** Spills all that is held, in one go. Never throws. */
  run(): void {
    const { source, shutdown, writer, settler, journal, spill, losses } = this.#parts;
    // Waiting callers' rows, and what another listener records behind this one, are late from here.
    source.seal();
    const all = [...shutdown.takeBack(), ...writer.takeBack()];
    // Before any of them counts as settled.
    const folder = all.length === 0 ? undefined : journal?.leave();
    const leftovers = settler.settleKept(all);
    // An open file is finished; a file system that refused a row a moment ago is tried again.
    spill?.close();
    if (folder !== undefined) this.#leave(leftovers, folder, countOf(all));
    else if (leftovers.length > 0) this.#spill(leftovers);
    journal?.close();
    spill?.close();
    losses.flush();
  }

  /** @param count rows that stay in the journal: those on disk only, and of earlier runs, as well */
  #leave(leftovers: readonly Leftover[], folder: string, count: number): void {
    if (leftovers.length > 0) this.#settle(leftovers, folder);
    this.#parts.logger.log(`the process exits with ${count} entries left in the journal ${folder}`);
  }

  #spill(leftovers: readonly Leftover[]): void {
    const { losses, logger } = this.#parts;
    const { file, failed } = this.#keep(leftovers);
    const kept = leftovers.filter((each) => !failed.has(each));
    const count = countOf(kept);
    if (file !== undefined && count > 0) {
      this.#settle(kept, file);
      logger.error(`the process exits with ${count} entries not written: spilled to ${file}`);
    }
    const lost = countOf([...failed]);
    if (lost === 0) return;
    losses.note('lost', lost, { reason: 'exit' });
    logger.error(`the process exits, and ${lost} entries could not be spilled: they are lost`);
  }

  #settle(kept: readonly Leftover[], file: string): void {
    const { settler, losses } = this.#parts;
    for (const { assignment, batch } of kept) settler.settleSpilled(assignment, batch, file);
    losses.note('spilled', countOf(kept), { reason: file });
  }

  /** @returns the first file, and the leftovers of which a row could not be kept */
  #keep(leftovers: readonly Leftover[]): { file: string | undefined; failed: Set<Leftover> } {
    const { spill } = this.#parts;
    const failed = new Set<Leftover>();
    let first: string | undefined;
    for (const { ranges, owners } of blocksOf(leftovers)) {
      const file = spill?.keep({
        slices: ranges.map(({ slab, from, to }) =>
          slab.bytes.subarray(slab.startOf(from), slab.endOf(to - 1)),
        ),
        count: ranges.reduce((sum, { from, to }) => sum + to - from, 0),
        position: ranges[0]!.position,
      });
      first ??= file;
      if (file === undefined) for (const owner of owners) failed.add(owner);
    }
    return { file: first, failed };
  }
}

/** Ranges that follow each other, and the leftovers that they are of. */
interface Block {
  readonly ranges: RowRange[];
  readonly owners: Set<Leftover>;
}

function* blocksOf(leftovers: readonly Leftover[]): Generator<Block, void> {
  let block: Block = { ranges: [], owners: new Set() };
  let bytes = 0;
  let next = -1;
  for (const leftover of leftovers) {
    for (const range of leftover.batch.ranges) {
      const { slab, from, to, position } = range;
      if (bytes >= BLOCK_BYTES || (position !== next && block.ranges.length > 0)) {
        yield block;
        block = { ranges: [], owners: new Set() };
        bytes = 0;
      }
      block.ranges.push(range);
      block.owners.add(leftover);
      bytes += slab.endOf(to - 1) - slab.startOf(from);
      next = position + to - from;
    }
  }
  if (block.ranges.length > 0) yield block;
}
