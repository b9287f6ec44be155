import type { LedgerStats } from 'nestjs-ledger';

/** What a test asks of the application. */
export type OutageCommand =
  | { readonly do: 'record'; readonly first: number; readonly count: number }
  | { readonly do: 'wait'; readonly first: number }
  | { readonly do: 'report' }
  | { readonly do: 'close' };

/** What it answers. */
export type OutageReport =
  | { readonly is: 'ready' | 'closed' }
  | { readonly is: 'waited'; readonly outcome: string }
  | {
      readonly is: 'recorded' | 'report';
      readonly stats: LedgerStats;
      /** Bytes above what the process had when it was ready, at most up to now. */
      readonly moreMemory: number;
    };
