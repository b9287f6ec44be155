import type { RowRange } from '../channel/batch.js';
import type { OpenCalls } from '../channel/open-calls.js';
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

/** Rows are written to the file in blocks of about this size: a slab's. */
const BLOCK_BYTES = 1_048_576;

/** Dependencies of the exit spill. */
export interface ExitSpillParts {
  /** Undefined: entries come from a source without calls. */
  readonly openCalls: OpenCalls | undefined;
  readonly source: BatchSource;
  readonly writer: BatchWriter;
  readonly shutdown: Shutdown;
  readonly settler: Settler;
  /** Has every accepted row on disk already; undefined if they are in memory only. */
  readonly journal: Journal | undefined;
  /** Takes rows without a journal; undefined if they are lost with the process. */
  readonly spill: RowSpill | undefined;
  readonly losses: LossReporter;
  readonly logger: LedgerLogger;
}

/**
 * Spills a ledger's entries when the process exits without a shutdown: `process.exit()`, an
 * exception, or an event loop with nothing left to do. Nest also exits so, before its last hooks, if
 * a transport fails to close. Open calls are recorded with the data known so far. The table may already contain rows in
 * flight. They are spilled too, and a replay skips them by their uuids.
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

  /** Listens for an exit of the process until the ledger has ended and holds nothing. */
  arm(): void {
    if (this.#hasEnded && !this.#isFileOpen) return;
    this.#takeBack ??= atExit(() => this.run());
  }

  /** While a file of late rows is open, an exit has work to do even after the ledger's end. */
  noteFile(isOpen: boolean): void {
    this.#isFileOpen = isOpen;
    if (isOpen) this.arm();
    else if (this.#hasEnded) this.#disarm();
  }

  #disarm(): void {
    this.#takeBack?.();
    this.#takeBack = undefined;
  }

  /** Records open calls as aborted, then spills all held rows, synchronously. Never throws. */
  run(): void {
    const { source, shutdown, writer, settler, journal, spill, losses } = this.#parts;
    this.#abortCalls();
    // From here rows of waiting callers, and those recorded by later exit listeners, are late.
    source.seal();
    const all = [...shutdown.takeBack(), ...writer.takeBack()];
    // Called before any row counts as settled.
    const folder = all.length === 0 ? undefined : journal?.leave();
    const leftovers = settler.settleKept(all);
    // Finish the open file, and try again a file system that refused a row a moment ago.
    spill?.close();
    if (folder !== undefined) this.#leave(leftovers, folder, countOf(all));
    else if (leftovers.length > 0) this.#spill(leftovers);
    journal?.close();
    spill?.close();
    losses.flush();
  }

  #abortCalls(): void {
    const { openCalls, logger } = this.#parts;
    if (openCalls === undefined || openCalls.size === 0) return;
    logger.warn(
      `WARNING: the process exits while ${openCalls.size} calls are still running: they are recorded as aborted`,
    );
    openCalls.abortAll();
  }

  /**
   * @param count rows that stay in the journal, including those on disk only and those of earlier
   *   runs
   */
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

  /** @returns the first file, and the leftovers with a row that could not be kept */
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

/** Contiguous ranges, and the leftovers that they belong to. */
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
