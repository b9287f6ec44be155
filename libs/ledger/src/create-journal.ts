import { resolve } from 'node:path';
import type { Handoff } from './channel/handoff.js';
import type { Clock } from './clock/clock.js';
import { formatRun } from './codec/uuid.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import { rowColumnsOf } from './entry/columns.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import { diskFiles } from './journal/disk-files.js';
import type { EarlierFiles } from './journal/earlier-files.js';
import { Journal } from './journal/journal.js';
import { ownIdentity } from './journal/process-identity.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import { describeSegment, type SegmentTarget } from './segments/segment-description.js';

/** The parts of a ledger's journal. @internal */
export interface JournalPlan {
  readonly table: LedgerTable;
  readonly options: ResolvedLedgerOptions;
  readonly run: number;
  /**
   * Called for each file and each second, because the database is known only once there is a
   * connection.
   */
  readonly target: () => SegmentTarget;
  readonly clock: Clock;
  /** Files of earlier runs take room too. */
  readonly earlier: EarlierFiles;
}

/**
 * Creates the journal of a ledger if its settings name a folder. Does not touch the disk before the
 * first row.
 *
 * @internal
 */
export function journalOf(plan: JournalPlan): { journal?: LedgerJournal } {
  const { table, options, target, clock, earlier } = plan;
  const { journalDir, journalSync, journalMaxBytes, journalKeepMs, overflow } = options;
  if (journalDir === undefined) return {};
  const run = formatRun(plan.run);
  const ledger = table.name;
  const author = ownIdentity();
  const journal = ({ channel, durables }: Handoff, logger: LedgerLogger): Journal =>
    new Journal({
      files: diskFiles,
      channel,
      durables,
      clock,
      logger,
      journalDir: resolve(journalDir),
      ledger,
      run,
      sync: journalSync,
      maxBytes: journalMaxBytes,
      keepMs: journalKeepMs,
      earlier,
      reads: overflow === 'disk',
      columns: rowColumnsOf(table).length,
      describe: () => describeSegment(table, run, target(), clock.now()),
      owner: () => JSON.stringify({ ledger, run, target: target(), author }),
    });
  return { journal };
}

type LedgerJournal = (handoff: Handoff, logger: LedgerLogger) => Journal;
