import { systemClock } from './clock/clock.js';
import type { ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import { FallbackDeadLetterStore } from './files/fallback-dead-letter-store.js';
import type { LedgerDeadLetterStore } from './ports/dead-letter-store.interface.js';

/**
 * Milliseconds for the application's own store. A worker waits for it, and the end of the process
 * may wait too.
 */
const STORE_TIMEOUT_MS = 5_000;

/** Where dead letters may go. */
export interface DeadLetterPlaces {
  /** Undefined: the ledger has no table. */
  readonly inTable: LedgerDeadLetterStore | undefined;
  /** Takes the dead letters that the other stores refuse. */
  readonly inFile: LedgerDeadLetterStore;
}

/**
 * The store that the options name, with a file as the fallback. @param onNotice is called when the
 * file is used
 */
export function createDeadLetters(
  { deadLetters, writeTimeoutMs }: ResolvedLedgerOptions,
  { inTable, inFile }: DeadLetterPlaces,
  onNotice: (text: string) => void,
): LedgerDeadLetterStore {
  if (typeof deadLetters === 'object') {
    return new FallbackDeadLetterStore({
      first: deadLetters,
      second: inFile,
      firstName: "the application's store",
      timeoutMs: Math.min(writeTimeoutMs, STORE_TIMEOUT_MS),
      clock: systemClock,
      onNotice,
    });
  }
  if (deadLetters === 'file' || inTable === undefined) return inFile;
  return new FallbackDeadLetterStore({
    first: inTable,
    second: inFile,
    firstName: 'the table',
    timeoutMs: writeTimeoutMs,
    clock: systemClock,
    onNotice,
  });
}
