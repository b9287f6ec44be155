import type { LedgerStats } from 'nestjs-ledger';

/** Messages from the test to the application. */
export type AppCommand =
  | {
      readonly do: 'load';
      readonly perSecond: number;
      readonly memoBytes: number;
      readonly isAwaited: boolean;
    }
  | { readonly do: 'pause' }
  | { readonly do: 'report' }
  | { readonly do: 'close'; readonly times: number };

/** Messages from the application to the test. */
export type AppReport =
  | { readonly is: 'ready'; readonly run: string }
  | { readonly is: 'closed'; readonly ms: number }
  | { readonly is: 'report'; readonly stats: LedgerStats; readonly entries: EntriesReport };

/** Entries since the report before. */
export interface EntriesReport {
  /** Entries queued so far whose uuid the ledger makes: its sequences from 0 on. */
  readonly sequenced: number;
  /** Queued with a uuid of the application's own. */
  readonly own: readonly string[];
  /** Reported to their callers as committed. */
  readonly acknowledged: readonly string[];
  /** Reported to their callers as set aside. */
  readonly setAside: readonly string[];
}
