import type { LedgerDefinitionError } from './ledger-definition.error.js';
import type { LedgerEntryInvalidError } from './ledger-entry-invalid.error.js';
import type { LedgerOptionsError } from './ledger-options.error.js';
import type { LedgerReadError } from './ledger-read.error.js';
import { ERROR_BRAND, type LedgerError, type LedgerErrorCode } from './ledger.error.js';
import type { SinkHaltError, SinkRowError, SinkTransientError } from './sink.errors.js';
import type {
  LedgerDeadLetteredError,
  LedgerNoCommitError,
  LedgerSealedError,
  LedgerSpilledError,
  LedgerWaitTimeoutError,
} from './wait.errors.js';

type AnyLedgerError =
  | LedgerDeadLetteredError
  | LedgerDefinitionError
  | LedgerEntryInvalidError
  | LedgerNoCommitError
  | LedgerOptionsError
  | LedgerReadError
  | LedgerSealedError
  | LedgerSpilledError
  | LedgerWaitTimeoutError
  | SinkHaltError
  | SinkRowError
  | SinkTransientError;

/**
 * True for an error of this package, also across copies of the package and across realms, such as
 * that of a test runner.
 *
 * @publicApi
 */
export function isLedgerError(error: unknown): error is LedgerError;
/**
 * True for this package's error with the code; narrows the type to its fields.
 *
 * @publicApi
 */
export function isLedgerError<C extends LedgerErrorCode>(
  error: unknown,
  code: C,
): error is Extract<AnyLedgerError, { code: C }>;
export function isLedgerError(error: unknown, code?: LedgerErrorCode): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ((error as { [ERROR_BRAND]?: unknown })[ERROR_BRAND] !== true) return false;
  return code === undefined || (error as LedgerError).code === code;
}
