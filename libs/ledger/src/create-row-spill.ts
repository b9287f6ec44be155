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
 * What takes rows after the seal and at an exit. Touches no disk before that.
 *
 * @param target asked for each file
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
 * Lets the ledger hear of the process's exit, from its first entry until it has ended with nothing left.
 * One that never took an entry is held by nothing: tests make many, and close few.
 */
export function watchExit({ exit, handoff, journal }: Ledger, { rowSpill }: CreatedRowSpill): void {
  let open = 0;
  const note = (isOpen: boolean): void => {
    open += isOpen ? 1 : -1;
    exit.noteFile(open > 0);
  };
  rowSpill.watch(note);
  journal?.watch(note);
  handoff.whenFirstQueued(() => exit.arm());
}
