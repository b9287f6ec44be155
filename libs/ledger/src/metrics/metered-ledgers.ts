import type { FlushListener } from '../writer/batch-writer.js';
import type { MeteredLedger } from './ledger-metrics.js';

/** How a ledger is told apart from others. @publicApi */
export interface LedgerMetricsOptions {
  /**
   * Value of the label `ledger`; default: the ledger's name. Give one where two copies of an
   * application share a registry.
   */
  readonly ledger?: string;
}

interface Metered {
  readonly ledger: MeteredLedger;
  readonly stopListening: () => void;
}

/**
 * The ledgers whose metrics go to one place, by their label. One of a label at a time: the same
 * ledger again changes nothing, another takes its place.
 *
 * @internal
 */
export class MeteredLedgers {
  readonly #ledgers = new Map<string, Metered>();

  has(label: string, ledger: MeteredLedger): boolean {
    return this.#ledgers.get(label)?.ledger === ledger;
  }

  /** @param listen called for each flush of the ledger while it is in */
  add(label: string, ledger: MeteredLedger, listen: FlushListener): void {
    if (this.has(label, ledger)) return;
    this.#ledgers.get(label)?.stopListening();
    this.#ledgers.set(label, { ledger, stopListening: ledger.onFlush(listen) });
  }

  /** @returns false if it was not in, or another had taken its place */
  remove(label: string, ledger: MeteredLedger): boolean {
    if (!this.has(label, ledger)) return false;
    this.#ledgers.get(label)?.stopListening();
    return this.#ledgers.delete(label);
  }

  /** In the order they came. */
  *[Symbol.iterator](): Generator<readonly [label: string, ledger: MeteredLedger]> {
    for (const [label, { ledger }] of this.#ledgers) yield [label, ledger];
  }
}
