import type { Timer } from '../clock/clock.js';
import type { SinkRowError } from '../errors/sink.errors.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Assignment, BatchSource } from './batch-source.interface.js';
import type { HeldRow } from './held-row.js';
import type { Leftover } from './leftover.js';
import { RowTrials, type RowTrialsParts } from './row-trial.js';

/** Maximum rows that one statement tries separately: some tenths of a second on a plain server. */
const MOST_ROWS = 1000;
/** Maximum rows of a batch in one probe while the ledger is halted, and held rows added to them. */
const PROBE_ROWS = 16;
const LENT_ROWS = 4;

/** Dependencies of the held rows. */
export interface HeldRowsParts extends RowTrialsParts {
  readonly source: Pick<BatchSource, 'held'>;
  readonly logger: LedgerLogger;
  readonly retryMaxMs: number;
  /** Called after rows were settled. */
  readonly onSettled: () => void;
}

/**
 * The refused rows of all workers, until it is known whether they or the table are at fault. They
 * count as in flight. Once the server has accepted another row they are tried again, each
 * separately; those refused again become dead letters. If one row is the ledger's only row for
 * `retryMaxMs`, it is tried then, and the result decides. Refused rows with no other company than
 * each other are tried every `retryMaxMs`, without a decision.
 *
 * @internal
 */
export class HeldRows {
  /**
   * Batches being searched for refused rows: their held rows are tried after the rest is written.
   */
  readonly searching = new Set<Assignment>();
  readonly #parts: HeldRowsParts;
  readonly #trials: RowTrials;
  #rows: HeldRow[] = [];
  #triedAt = Number.NEGATIVE_INFINITY;
  #isRunning = false;
  #isAbandoned = false;
  #hasWarned = false;
  #timer: Timer | undefined;
  #wake: () => void = () => {};

  constructor(parts: HeldRowsParts) {
    this.#parts = parts;
    this.#trials = new RowTrials(parts);
  }

  /** Maximum rows of a batch in one probe of a halted ledger. */
  get probeRows(): number {
    return this.#canTryMany ? PROBE_ROWS : 1;
  }

  /** Position in the channel of the oldest row; infinity if none is held. */
  get position(): number {
    return this.#least(({ batch }) => batch.position);
  }

  /** Monotonic milliseconds when the oldest row was appended; infinity if none is held. */
  get oldestAt(): number {
    return this.#least(({ batch }) => batch.oldestAt);
  }

  /** Keeps a row that was refused. */
  hold(row: HeldRow, error: SinkRowError): void {
    row.error = error;
    this.#parts.judge.refused(row, error);
    this.#keep([row]);
  }

  /**
   * Checks whether held rows should be tried now: the server accepted a row, or the process stops.
   */
  look(): void {
    this.#wake();
  }

  /** Ends all waits and trials as soon as possible; `takeRows` then returns the rows. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#trials.abandon();
    this.#wake();
  }

  /** Takes over all rows; none is settled here from now on. */
  takeRows(): Leftover[] {
    this.#trials.close();
    const rows = [...this.#rows.splice(0), ...this.#trials.rows];
    this.#trials.rows.clear();
    return rows.map(({ batch, mayExist, assignment, attempts }) => {
      return { batch, mayExist, assignment, attempts };
    });
  }

  /**
   * Tries rows of a batch, each separately, together with some held ones.
   *
   * @returns rows that were neither accepted nor refused; the caller keeps them
   */
  async tryWith(rows: readonly HeldRow[], isProbe: boolean): Promise<HeldRow[]> {
    const most = this.#parts.judge.isHalted ? LENT_ROWS : MOST_ROWS;
    const lent = this.#canTryMany ? this.#rows.splice(0, most) : [];
    return this.#try([...rows, ...lent], { isProbe, isLone: false });
  }

  get #canTryMany(): boolean {
    return this.#parts.sink.writeEach !== undefined;
  }

  #least(of: (row: HeldRow) => number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const row of this.#rows) least = Math.min(least, of(row));
    for (const row of this.#trials.rows) least = Math.min(least, of(row));
    return least;
  }

  #keep(rows: readonly HeldRow[]): void {
    const now = this.#parts.clock.monotonic();
    for (const row of rows) row.heldSince ??= now;
    this.#rows.push(...rows);
    if (this.#rows.length === 0) this.#hasWarned = false;
    else if (!this.#isRunning) void this.#run();
    this.#wake();
  }

  async #try(
    rows: readonly HeldRow[],
    options: { isProbe: boolean; isLone: boolean },
  ): Promise<HeldRow[]> {
    const { undecided, suspects } = await this.#trials.try(rows, options);
    this.#triedAt = this.#parts.clock.monotonic();
    this.#keep([...suspects, ...undecided.filter(({ error }) => error !== undefined)]);
    if (!this.#isAbandoned) this.#parts.onSettled();
    return undecided.filter(({ error }) => error === undefined);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (!this.#isAbandoned && this.#rows.length > 0) {
      const waitMs = this.#waitMs();
      if (waitMs > 0) await this.#sleep(waitMs);
      else await this.#retry();
    }
    this.#isRunning = false;
  }

  /** Milliseconds until held rows are tried; 0: now. */
  #waitMs(): number {
    const { judge, clock, retryMaxMs } = this.#parts;
    const [first] = this.#rows;
    if (first === undefined) return Number.POSITIVE_INFINITY;
    if (judge.isHalted || this.#rows.some((row) => this.#isDue(row))) return 0;
    const since = Math.max(first.heldSince ?? 0, this.#triedAt);
    return Math.max(0, since + retryMaxMs - clock.monotonic());
  }

  #isDue(row: HeldRow): boolean {
    return this.#parts.judge.hasCompany(row) && !this.searching.has(row.assignment);
  }

  /** Waits until the time is over or something has changed. */
  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#parts.clock.after(Math.ceil(ms), resolve);
    });
    this.#wake = () => {};
    this.#timer?.cancel();
  }

  /**
   * While the ledger is halted, waits behind all batches, because each of them tries some held rows
   * too.
   */
  async #retry(): Promise<void> {
    const { connections, outage, judge } = this.#parts;
    const position = judge.isHalted ? Number.POSITIVE_INFINITY : this.position;
    await connections.enter(position);
    try {
      const isProbe = await outage.pass(position);
      const rows = this.#isAbandoned || this.#waitMs() > 0 ? [] : this.#take();
      if (rows.length === 0) return outage.passOn(isProbe);
      const isLone = this.#isLone(rows);
      await this.#try(rows, { isProbe, isLone });
      if (!isLone) this.#warnOf(rows);
    } finally {
      connections.leave();
    }
  }

  /** Removes the due rows from the held ones. */
  #take(): HeldRow[] {
    const { judge } = this.#parts;
    if (judge.isHalted) return this.#rows.splice(0, this.#canTryMany ? MOST_ROWS : 1);
    const due = this.#rows.filter((row) => this.#isDue(row)).slice(0, MOST_ROWS);
    if (due.length === 0) return this.#rows.splice(0, MOST_ROWS);
    const taken = new Set(due);
    this.#rows = this.#rows.filter((row) => !taken.has(row));
    return due;
  }

  #isLone([row, another]: readonly HeldRow[]): boolean {
    const { source, clock, retryMaxMs } = this.#parts;
    if (row === undefined || another !== undefined || source.held > 1) return false;
    return clock.monotonic() - (row.heldSince ?? Number.POSITIVE_INFINITY) >= retryMaxMs;
  }

  /** Warns once an episode. @param tried rows of the last trial */
  #warnOf(tried: readonly HeldRow[]): void {
    const { judge, logger } = this.#parts;
    const isUndecided = this.#rows.length > 0 && tried.every((row) => this.#rows.includes(row));
    if (!isUndecided || judge.isHalted || this.#hasWarned) return;
    this.#hasWarned = true;
    const { sqlState } = this.#rows[0]!.error!;
    logger.warn(
      `WARNING: ${this.#rows.length} refused rows are kept (SQLSTATE ${sqlState ?? 'unknown'}): the ` +
        'server has accepted no other row since, so the table may be at fault; the next row decides',
    );
  }
}
