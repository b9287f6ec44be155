import { assembleLedger, type Ledger } from '../assemble-ledger.js';
import { RowCodec } from '../codec/row-codec.js';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import { createLogger } from '../nest/create-logger.js';
import type { LedgerDefinition } from '../define-ledger.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import type { LedgerVitals } from '../ports/ledger-vitals.interface.js';
import { vitalsOf } from '../ledger.vitals.js';
import { systemClock, type Clock } from '../clock/clock.js';
import { InMemoryReader, type WrittenEntry } from './in-memory.reader.js';
import { InMemorySink } from './in-memory.sink.js';
import { ManualClock } from './manual-clock.js';
import { sameEntry } from './same-entry.js';

/** Step in milliseconds by which a manual clock advances at the end of a test. */
const STEP_MS = 100;

/** One ledger over a sink in memory, started at once. @internal */
export class InMemoryLedger {
  readonly sink: InMemorySink;
  readonly ledger: Ledger;
  readonly reader: InMemoryReader;
  readonly vitals: LedgerVitals;
  readonly #codec: RowCodec;
  readonly #manual: ManualClock | undefined;

  constructor(definition: LedgerDefinition, given: { options?: LedgerOptions; clock?: Clock }) {
    this.#codec = new RowCodec(definition);
    this.#manual = given.clock instanceof ManualClock ? given.clock : undefined;
    const clock = given.clock ?? systemClock;
    this.sink = new InMemorySink(() => clock.now(), sameEntry(definition));
    this.ledger = assembleLedger({
      table: definition,
      options: resolveLedgerOptions({ ...testDefaults(given.options), ...given.options }),
      sink: this.sink,
      deadLetters: { store: async () => undefined },
      spills: { probe: async () => undefined, spill: spillNowhere },
      rowSpill: { keep: () => 'memory', close: () => undefined },
      clock,
      logger: createLogger(definition),
    });
    const asOf = (): Date => new Date(this.ledger.completeUntil());
    this.reader = new InMemoryReader(definition, () => this.#written(), asOf);
    this.vitals = vitalsOf(this.ledger, { isUnavailable: false });
    void this.ledger.writer.start(() => undefined);
  }

  /** All entries in the order they were written, after a flush. */
  async entries(): Promise<StoredEntry<LedgerDefinition>[]> {
    const { writer, options } = this.ledger;
    const flushed = writer.flush(options.commitTimeoutMs);
    // A manual clock runs no turns by itself.
    if (this.#manual !== undefined) await this.#manual.turn();
    await flushed;
    return this.#stored();
  }

  /** Drains like the real lifecycle. A manual clock is advanced until it is done. */
  drain(): Promise<void> {
    this.ledger.auto?.stop();
    return this.#moved(this.ledger.shutdown.drain());
  }

  /** Seals and ends. A manual clock is advanced until it is done. */
  async finish(): Promise<void> {
    const { shutdown, openCalls } = this.ledger;
    if (openCalls.size > 0 && !(await this.#moved(shutdown.waitFor(openCalls.idle())))) {
      openCalls.abortAll();
    }
    await this.#moved(shutdown.finish());
  }

  async #moved<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    void work.then(() => (isOver = true));
    while (this.#manual !== undefined && !isOver) await this.#manual.advance(STEP_MS);
    return work;
  }

  #written(): WrittenEntry[] {
    return this.#stored().map((entry) => {
      const writtenAt = this.sink.writtenAt(entry.uuid) ?? Number.NaN;
      return { ...entry, writtenAt: new Date(writtenAt).toISOString() };
    });
  }

  #stored(): StoredEntry<LedgerDefinition>[] {
    return [...this.sink.rows.values()].map(
      (row) => this.#codec.decode(row) as unknown as StoredEntry<LedgerDefinition>,
    );
  }
}

/** Unwritten entries of a test are discarded. */
async function spillNowhere(
  entries: Iterable<unknown>,
): Promise<{ file: string; entries: number }> {
  return { file: 'memory', entries: [...entries].length };
}

/**
 * A test must see the fault of an entry without waiting, so a single refused entry becomes a dead
 * letter at once.
 */
function testDefaults({ retryMinMs = 1 }: LedgerOptions = {}): LedgerOptions {
  const strict = { onInvalid: 'throw', unknownFields: 'reject' } as const;
  return { flushMs: 1, ...strict, retryMinMs, retryMaxMs: retryMinMs };
}
