import { join, resolve } from 'node:path';
import type { LedgerCore } from './assemble-core.js';
import { formatRun } from './codec/uuid.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import type { EarlierFiles } from './journal/earlier-files.js';
import type { GivenFields } from './journal/fit-row.js';
import { Recovery } from './journal/recovery.js';
import type { SegmentTarget } from './segments/segment-description.js';
import { UNKNOWN_SERVER, type ServerHistory } from './segments/settled-frame.js';

/** The run that recovers, and its target. @internal */
export interface RecoveringRun {
  readonly run: number;
  /** Called once the server has been reached. */
  readonly target: () => SegmentTarget;
  /** Knows the server that takes the rows; undefined: the server is not identified. */
  readonly question: { readonly last: ServerHistory } | undefined;
  readonly earlier: EarlierFiles;
  /** Values for columns that rows of an older definition do not have; default: NULL. */
  readonly given?: () => GivenFields;
}

/** Takes rows out of the journals of earlier runs; undefined without a journal. @internal */
export function createRecovery(
  { journalDir, journalKeepMs: keepMs, journalMaxBytes: maxBytes }: ResolvedLedgerOptions,
  { run, target, question, earlier, given = () => new Map() }: RecoveringRun,
): { recovery?: (core: LedgerCore) => Recovery } {
  if (journalDir === undefined) return {};
  return {
    recovery: ({ table, options, counters, clock, logger }) =>
      new Recovery({
        dir: join(resolve(journalDir), table.name),
        table,
        run: formatRun(run),
        target,
        given,
        batchRows: options.figures.batchSize,
        keepMs,
        maxBytes,
        server: () => question?.last ?? UNKNOWN_SERVER,
        earlier,
        counters,
        clock,
        logger,
      }),
  };
}
