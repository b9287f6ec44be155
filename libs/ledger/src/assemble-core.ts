import { Handoff } from './channel/handoff.js';
import type { Clock } from './clock/clock.js';
import { RowCodec } from './codec/row-codec.js';
import { newRun } from './codec/uuid.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import type { LedgerTable } from './entry/ledger-definition.js';
import type { LedgerDeadLetterStore } from './ports/dead-letter-store.interface.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';
import type { RowSpill } from './ports/spill-store.interface.js';
import { Counters } from './stats/counters.js';
import { guardLogger } from './stats/guard-logger.js';
import { LossReporter } from './stats/loss-reporter.js';
import { StateReporter } from './stats/state-reporter.js';
import { Status } from './stats/status.js';
import { DeadLetterKeeper } from './writer/dead-letter-keeper.js';

/**
 * Share of `bufferMaxBytes` that rows of waiting callers may hold beside the channel: 10,000 of
 * them, the default, fit into an eighth of the default unless they are larger than 3 KiB.
 */
const WAITING_SHARE = 1 / 8;

/**
 * Milliseconds for the file of dead letters. It is tried once `writeTimeoutMs` is over for the
 * table. Writing and syncing a line takes about 10 ms, and up to a second on a shared disk.
 */
const FILE_TIMEOUT_MS = 5_000;

/** The inputs of the core: the definition, the options and the outside world. */
export interface CoreParts {
  readonly table: LedgerTable;
  readonly options: ResolvedLedgerOptions;
  readonly deadLetters: LedgerDeadLetterStore;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  /** Random id of this life of the ledger, in its uuids and files; default: a new one. */
  readonly run?: number;
}

/** The parts that both halves of a ledger share. The halves do not know each other. @internal */
export interface LedgerCore {
  readonly table: LedgerTable;
  readonly options: ResolvedLedgerOptions;
  readonly clock: Clock;
  /** Never throws. */
  readonly logger: LedgerLogger;
  readonly codec: RowCodec;
  readonly run: number;
  readonly counters: Counters;
  readonly status: Status;
  readonly losses: LossReporter;
  readonly keeper: DeadLetterKeeper;
}

/**
 * The interface between the halves. It is created before both. @param late takes the rows that
 * arrive after the seal
 */
export function assembleHandoff(
  options: ResolvedLedgerOptions,
  clock: Clock,
  late?: RowSpill,
): Handoff {
  const { figures, bufferMaxBytes, maxWaiting } = options;
  const bounds = {
    capacity: figures.capacity,
    maxBytes: bufferMaxBytes,
    maxWaiting,
    maxWaitingBytes: bufferMaxBytes * WAITING_SHARE,
  };
  return new Handoff(bounds, clock, late);
}

/** @param isFull whether the channel has no room now; a recovery is reported once it has */
export function assembleCore(parts: CoreParts, isFull: () => boolean): LedgerCore {
  const { table, options, deadLetters, clock, run = newRun() } = parts;
  const { onLoss, onState } = options;
  const logger = guardLogger(parts.logger);
  const keepMs = options.writeTimeoutMs + FILE_TIMEOUT_MS;
  const counters = new Counters();
  const states = new StateReporter({ clock, counters, onState });
  const status = new Status(
    () => clock.now(),
    (from, to, reason) => states.note(from, to, reason),
  );
  return {
    table,
    options,
    clock,
    logger,
    codec: new RowCodec(table),
    run,
    counters,
    status,
    losses: new LossReporter({ clock, logger, counters, onLoss, isFull }),
    keeper: new DeadLetterKeeper({ store: deadLetters, logger, clock, timeoutMs: keepMs }),
  };
}
