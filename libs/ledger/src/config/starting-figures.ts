import type { LedgerSettings } from '../ports/ledger-settings.interface.js';
import {
  AUTO_BATCH,
  AUTO_ENOUGH,
  AUTO_FIRST_WORKERS,
  AUTO_LEAST_DELAY_MS,
  AUTO_MOST_WORKERS,
} from '../tuning/auto-limits.js';
import type { TunedSetting } from './ledger-profiles.js';

/**
 * The figures that a ledger starts with: the given ones, or the initial ones of `auto`. @internal
 */
export interface StartingFigures {
  /** Maximum entries of a batch. `auto` does not change it later. */
  readonly batchSize: number;
  /** A batch is due when this many entries wait. */
  readonly enough: number;
  /** Or when this many bytes wait; undefined: 16 MiB. */
  readonly batchBytes: number | undefined;
  readonly flushMs: number;
  /** Maximum waiting entries; infinite: only bytes are a bound. */
  readonly capacity: number;
  readonly numWorkers: number;
  /** Maximum number of workers later, if pool and server have connections for them. */
  readonly mostWorkers: number;
}

/**
 * Number of waiting batches of `auto` that fit into the channel besides those in flight. With a
 * smaller bound the channel would be full before a batch is due.
 */
const WAITING_BATCHES = 2;

/** @param cores that this process may use @internal */
export function startingFigures(
  settings: Required<Pick<LedgerSettings, TunedSetting | 'bufferMaxBytes'>>,
  cores: number,
): StartingFigures {
  const { batchSize, flushMs, bufferSize, numWorkers, bufferMaxBytes } = settings;
  const capacity = bufferSize === 'auto' ? Number.POSITIVE_INFINITY : bufferSize;
  const workers = numWorkers === 'auto' ? Math.min(AUTO_FIRST_WORKERS, cores) : numWorkers;
  const batches = workers + WAITING_BATCHES;
  const mostEntries =
    batchSize === 'auto'
      ? Math.min(AUTO_BATCH, Math.max(1, Math.floor(capacity / batches)))
      : batchSize;
  return Object.freeze({
    batchSize: mostEntries,
    enough: batchSize === 'auto' ? Math.min(AUTO_ENOUGH, mostEntries) : mostEntries,
    batchBytes: batchSize === 'auto' ? Math.floor(bufferMaxBytes / batches) : undefined,
    flushMs: flushMs === 'auto' ? AUTO_LEAST_DELAY_MS : flushMs,
    capacity,
    numWorkers: workers,
    mostWorkers: numWorkers === 'auto' ? AUTO_MOST_WORKERS : numWorkers,
  });
}
