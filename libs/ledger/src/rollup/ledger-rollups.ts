import type { Clock } from '../clock/clock.js';
import { Deadline } from '../clock/deadline.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { SummaryFilter } from '../ports/summary-filter.interface.js';
import type { SummarySource, SummarySums } from '../ports/summary-source.interface.js';
import type { SessionLender } from '../postgres/session-lender.interface.js';
import { adoptRollups } from './adopt-rollups.js';
import { dimensions } from './rollup-layout.js';
import { RollupRefresher } from './rollup-refresher.js';
import { RollupSchedule } from './rollup-schedule.js';
import { RollupSummarySource } from './rollup-summary-source.js';

/** Dependencies of a ledger's rollups. @internal */
export interface LedgerRollupsParts {
  readonly definition: LedgerTable;
  /** For the upkeep of rollups. */
  readonly connections: Pick<SessionLender, 'use'>;
  /** For summaries. */
  readonly reads: SessionLender;
  readonly clock: Clock;
  readonly logger: LedgerLogger;
}

/** Time limit of `find` in milliseconds, including its connection. */
const FIND_MS = 10_000;

/**
 * The rollups of one ledger in this process: those of its definition, or those in the database.
 * Keeps them up to date, and reads summaries from them.
 *
 * @internal
 */
export class LedgerRollups implements SummarySource {
  readonly #parts: LedgerRollupsParts;
  readonly #source: RollupSummarySource;
  #schedule: RollupSchedule | undefined;
  #dimensions: readonly string[] | undefined;
  #connectionSchema: string | undefined;

  constructor(parts: LedgerRollupsParts) {
    const { definition, reads, logger } = parts;
    this.#parts = parts;
    this.#dimensions = definition.rollup ? dimensions(definition) : undefined;
    this.#source = new RollupSummarySource({
      definition,
      connections: reads,
      dimensions: () => this.#dimensions,
      onNotice: (text) => logger.warn(`WARNING: ${text}`),
    });
  }

  /**
   * Finds the rollups in the database. Those that the definition does not request are used from now
   * on.
   *
   * @throws an error of `pg`, DeadlineError, SinkTransientError or SinkHaltError
   */
  async find(): Promise<void> {
    const { definition, connections } = this.#parts;
    const adopted = await connections.use(new Deadline(FIND_MS), (session) => {
      this.#connectionSchema = session.schema;
      const schema = definition.schema ?? session.schema;
      return adoptRollups(session.query, { ...definition, schema });
    });
    this.#dimensions = adopted.rollup ? dimensions(adopted) : undefined;
    this.#startSchedule();
  }

  /**
   * Starts keeping rollups up to date, if there are any. May be called before `find`.
   *
   * @param written returns how many entries this process has written so far
   */
  start(written: () => number): void {
    const { definition, connections, clock, logger } = this.#parts;
    const refresher = new RollupRefresher({ definition, connections });
    this.#schedule ??= new RollupSchedule({
      refresher,
      clock,
      logger,
      definition,
      connectionSchema: () => this.#connectionSchema,
      written,
    });
    this.#startSchedule();
  }

  stop(): void {
    this.#schedule?.stop();
  }

  read(filter: SummaryFilter, timeoutMs: number): Promise<SummarySums | undefined> {
    return this.#source.read(filter, timeoutMs);
  }

  #startSchedule(): void {
    if (this.#dimensions !== undefined) this.#schedule?.start();
  }
}
