import type { LedgerStats } from 'nestjs-ledger';

/** What the test tells the application. */
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

/** What the application tells the test. */
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
  /** Their callers were told that they are committed. */
  readonly acknowledged: readonly string[];
  /** Their callers were told that they were set aside. */
  readonly setAside: readonly string[];
}
