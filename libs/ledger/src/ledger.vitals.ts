import type { Ledger } from './assemble-ledger.js';
import type { LedgerVitals } from './ports/ledger-vitals.interface.js';

/** The facts that health needs. @param files whether the spill directory can be used */
export function vitalsOf(ledger: Ledger, files: { readonly isUnavailable: boolean }): LedgerVitals {
  const { sink, writer } = ledger;
  return {
    writesTo: ledger.options.role === 'gateway' ? 'stream' : 'database',
    stats: () => ledger.stats(),
    ping: (timeoutMs) => sink.ping(timeoutMs),
    sourceTrouble: () => ledger.source.trouble,
    sourceNotice: () => ledger.source.notice,
    isRetrying: () => writer.isRetrying,
    isStuck: () => writer.isStuck,
    isSpillUnavailable: () => files.isUnavailable,
    wasTableChecked: () => writer.isPrepared,
  };
}
