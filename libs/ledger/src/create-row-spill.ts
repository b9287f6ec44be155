import type { Ledger } from './assemble-ledger.js';
import { systemClock } from './clock/clock.js';
import { formatRun, newRun } from './codec/uuid.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { SegmentTarget } from './segments/segment-description.js';
import { SegmentSpill } from './segments/segment-spill.js';

/** The segments of one run of a ledger. @internal */
export interface CreatedRowSpill {
  readonly run: number;
  readonly rowSpill: SegmentSpill;
}

/**
 * Takes rows after the seal and at an exit. Does not touch the disk before that.
 *
 * @param target called for each file
 * @internal
 */
export function createRowSpill(
  table: LedgerTable,
  dir: string,
  target: () => SegmentTarget,
): CreatedRowSpill {
  const run = newRun();
  const clock = systemClock;
  return { run, rowSpill: new SegmentSpill({ dir, table, run: formatRun(run), target, clock }) };
}

/**
 * Registers the ledger for the process's exit, from its first entry or call until it has ended with
 * no rows left. A ledger without them is not registered and can be collected: tests create many and
 * close few.
 */
export function watchExit(ledger: Ledger, { rowSpill }: CreatedRowSpill): void {
  const { exit, handoff, openCalls, journal } = ledger;
  let open = 0;
  const note = (isOpen: boolean): void => {
    open += isOpen ? 1 : -1;
    exit.noteFile(open > 0);
  };
  rowSpill.watch(note);
  journal?.watch(note);
  handoff.whenFirstQueued(() => exit.arm());
  openCalls.whenFirst(() => exit.arm());
}
