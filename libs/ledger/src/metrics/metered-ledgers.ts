import type { FlushListener } from '../writer/batch-writer.js';
import type { MeteredLedger } from './ledger-metrics.js';

/** Options that distinguish a ledger from others. @publicApi */
export interface LedgerMetricsOptions {
  /**
   * Value of the label `ledger`; default: the ledger's name. Set it if two copies of an application
   * share a registry.
   */
  readonly ledger?: string;
}

interface Metered {
  readonly ledger: MeteredLedger;
  readonly stopListening: () => void;
}

/**
 * The ledgers with metrics in one place, by label. One ledger a label: the same ledger again
 * changes nothing, another replaces it.
 *
 * @internal
 */
export class MeteredLedgers {
  readonly #ledgers = new Map<string, Metered>();

  has(label: string, ledger: MeteredLedger): boolean {
    return this.#ledgers.get(label)?.ledger === ledger;
  }

  /** @param listen called after each flush of the ledger while it is registered */
  add(label: string, ledger: MeteredLedger, listen: FlushListener): void {
    if (this.has(label, ledger)) return;
    this.#ledgers.get(label)?.stopListening();
    this.#ledgers.set(label, { ledger, stopListening: ledger.onFlush(listen) });
  }

  /** @returns false if it was not registered, or was replaced */
  remove(label: string, ledger: MeteredLedger): boolean {
    if (!this.has(label, ledger)) return false;
    this.#ledgers.get(label)?.stopListening();
    return this.#ledgers.delete(label);
  }

  /** In order of registration. */
  *[Symbol.iterator](): Generator<readonly [label: string, ledger: MeteredLedger]> {
    for (const [label, { ledger }] of this.#ledgers) yield [label, ledger];
  }
}
