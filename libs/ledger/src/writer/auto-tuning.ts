import { performance } from 'node:perf_hooks';
import type { Clock, Timer } from '../clock/clock.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { LedgerSink } from '../ports/ledger-sink.interface.js';
import type { AutoStats } from '../ports/ledger-stats.interface.js';
import type { Counters } from '../stats/counters.js';
import type { Status } from '../stats/status.js';
import { mostWorkers } from '../tuning/auto-limits.js';
import { hasEnoughFlushes } from '../tuning/choose-delay.js';
import { beginTuning, tune } from '../tuning/tune.js';
import type { SeenFlush, Tuning, TuningBounds, TuningWindow } from '../tuning/tuning.interface.js';
import type { BatchWriter } from './batch-writer.js';
import type { Dispatcher } from './dispatcher.js';
import type { Outage } from './outage.js';

/** Between two looks. Each turn of a trial takes at least two. */
const LOOK_MS = 1_000;
/** Changes are logged at most once in this many milliseconds, with the figures of that time. */
const LOG_MS = 60_000;
/** The server is pinged again after this many milliseconds, until flushes show their fixed cost. */
const PING_EVERY_MS = 60_000;
const PING_TIMEOUT_MS = 5_000;
/** The first ping may open a connection, so the shortest counts. */
const PINGS = 3;
/**
 * From this share on the process is the bottleneck, and more workers would only use more of its
 * time. Source: advice.
 */
const BUSY_EVENT_LOOP = 0.9;

/** Milliseconds in which the event loop was idle and active, and the active share. */
interface Utilization {
  readonly idle: number;
  readonly active: number;
  readonly utilization: number;
}

/** Like Node's `performance.eventLoopUtilization`: since the start, or since another reading. */
export type ReadUtilization = (since?: Utilization) => Utilization;

/** The inputs of the tuning, and the parts that it changes. */
export interface AutoTuningParts {
  readonly clock: Clock;
  readonly logger: LedgerLogger;
  readonly status: Status;
  readonly counters: Counters;
  readonly outage: Outage;
  readonly sink: LedgerSink;
  readonly writer: BatchWriter;
  readonly dispatcher: Dispatcher;
  readonly isDelayAuto: boolean;
  readonly areWorkersAuto: boolean;
  /** Maximum entries of a batch. */
  readonly batchSize: number;
  /** Maximum workers, as far as the connections allow. */
  readonly mostWorkers: number;
  /** Default: Node's function. */
  readonly utilization?: ReadUtilization | undefined;
}

/**
 * Sets the delay and the number of workers as `tune` decides. It looks once a second, from the
 * start of the workers until the process stops. It never changes a configured number.
 *
 * @internal
 */
export class AutoTuning {
  readonly #parts: AutoTuningParts;
  readonly #utilization: ReadUtilization;
  #tuning: Tuning;
  readonly #firstWorkers: number;
  #mostWorkers: number;
  #flushes: SeenFlush[] = [];
  #retries = 0;
  #looked: Utilization;
  #pingMs: number | undefined;
  #pingedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #stopListening = (): void => undefined;
  #loggedAt: number;
  #logged: string;

  constructor(parts: AutoTuningParts) {
    this.#parts = parts;
    const { clock, writer, mostWorkers } = parts;
    this.#utilization = parts.utilization ?? ((since) => performance.eventLoopUtilization(since));
    this.#looked = this.#utilization();
    this.#firstWorkers = writer.numWorkers;
    this.#mostWorkers = mostWorkers;
    this.#tuning = this.#begin();
    this.#loggedAt = clock.monotonic();
    this.#logged = figuresOf(this.#tuning);
    writer.whenStarted(() => this.#start());
  }

  #begin(): Tuning {
    const { clock, writer, dispatcher, counters } = this.#parts;
    const { queued } = counters;
    const [delayMs, workers] = [dispatcher.flushMs, writer.numWorkers];
    return beginTuning({ delayMs, workers }, { at: clock.monotonic(), now: clock.now(), queued });
  }

  /** The present figures. */
  get stats(): AutoStats {
    const { batchSize, writer, dispatcher } = this.#parts;
    const { since, tried } = this.#tuning;
    return Object.freeze({
      batch: batchSize,
      delayMs: dispatcher.flushMs,
      workers: writer.numWorkers,
      why: this.#why,
      since,
      tried: Object.freeze([...tried]),
    });
  }

  get #why(): string {
    const { isDelayAuto, areWorkersAuto } = this.#parts;
    const { whyWorkers, whyDelay } = this.#tuning;
    const clauses = [...(areWorkersAuto ? [whyWorkers] : []), ...(isDelayAuto ? [whyDelay] : [])];
    return clauses.length === 0 ? 'a batch is what waits' : clauses.join('; ');
  }

  /** Maximum workers. */
  get mostWorkers(): number {
    const { writer, areWorkersAuto } = this.#parts;
    return areWorkersAuto ? this.#mostWorkers : writer.numWorkers;
  }

  /** Limits the workers to the pool's connections; repeated calls keep the lowest limit. */
  limitToPool(connections: number): void {
    this.#limit(connections);
  }

  /** Limits the workers by the server's `max_connections`: a tenth is for this process. */
  limitToServer(maxConnections: number): void {
    this.#limit(mostWorkers(maxConnections));
  }

  /** Before the start the number of workers is reduced at once; later the next look reduces it. */
  #limit(workers: number): void {
    const { writer, areWorkersAuto } = this.#parts;
    if (!areWorkersAuto) return;
    this.#mostWorkers = Math.max(1, Math.min(this.#mostWorkers, workers));
    if (writer.isPrepared || writer.numWorkers <= this.#mostWorkers) return;
    writer.resize(this.#mostWorkers);
    this.#tuning = this.#begin();
  }

  #start(): void {
    const { writer, clock, isDelayAuto, areWorkersAuto, status } = this.#parts;
    if ((!isDelayAuto && !areWorkersAuto) || status.isStopping) return;
    this.#retries = this.#parts.counters.retries;
    this.#stopListening = writer.onFlush(({ entries, ms }) => {
      this.#flushes.push({ at: clock.monotonic(), entries, ms });
    });
    void this.#ping();
    this.#lookLater();
  }

  /** Stops looking; the figures keep their values. May be called again. */
  stop(): void {
    this.#stopListening();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookLater(): void {
    this.#timer = this.#parts.clock.after(LOOK_MS, () => this.#look());
  }

  #look(): void {
    if (this.#parts.status.isStopping) return this.stop();
    const window = this.#window();
    this.#tuning = tune(this.#tuning, window, this.#bounds);
    this.#apply();
    this.#tell(window.at);
    this.#pingAgain(window);
    this.#lookLater();
  }

  get #bounds(): TuningBounds {
    const { isDelayAuto, areWorkersAuto } = this.#parts;
    const mostWorkers = this.#mostWorkers;
    const firstWorkers = Math.min(this.#firstWorkers, mostWorkers);
    return { isDelayAuto, areWorkersAuto, firstWorkers, mostWorkers };
  }

  #window(): TuningWindow {
    const { clock, writer, dispatcher, counters } = this.#parts;
    const flushes = this.#flushes;
    this.#flushes = [];
    return {
      at: clock.monotonic(),
      now: clock.now(),
      flushes,
      queued: counters.queued,
      waitingBatches: dispatcher.waitingBatches,
      isAllBusy: writer.busyWorkers >= writer.numWorkers,
      peakBusy: writer.takePeakBusy(),
      pingMs: this.#pingMs,
      trouble: this.#trouble(),
    };
  }

  /** Figures measured during trouble say nothing about the number of workers. */
  #trouble(): string | undefined {
    const { status, outage, counters } = this.#parts;
    const hasRetried = counters.retries !== this.#retries;
    this.#retries = counters.retries;
    const looked = this.#utilization();
    const { utilization } = this.#utilization(this.#looked);
    this.#looked = looked;
    if (status.state !== 'running') return `the ledger is ${status.state}`;
    if (outage.isOn || hasRetried) return 'attempts fail';
    if (utilization <= BUSY_EVENT_LOOP) return undefined;
    const percent = Math.round(utilization * 100);
    return `the event loop is busy ${percent} % of the time, so the process is the limit`;
  }

  #apply(): void {
    const { writer, dispatcher, isDelayAuto, areWorkersAuto } = this.#parts;
    const { delayMs, workers } = this.#tuning;
    if (isDelayAuto) dispatcher.flushMs = delayMs;
    if (areWorkersAuto && writer.numWorkers !== workers) writer.resize(workers);
  }

  /** A trial changes the workers every few seconds, so only its end is logged. */
  #tell(at: number): void {
    const figures = figuresOf(this.#tuning);
    const isTrying = this.#tuning.search.trial !== undefined;
    if (figures === this.#logged || isTrying || at - this.#loggedAt < LOG_MS) return;
    this.#logged = figures;
    this.#loggedAt = at;
    const { batch, delayMs, workers, why } = this.stats;
    const counted = workers === 1 ? '1 worker' : `${workers} workers`;
    this.#parts.logger.log(`auto: ${counted}, batch ${batch}, delay ${delayMs} ms (${why})`);
  }

  /**
   * Only while entries are written: an idle database may suspend itself, and a ping would wake it.
   */
  #pingAgain({ at, flushes, trouble }: TuningWindow): void {
    const isKnown = hasEnoughFlushes(this.#tuning.smallFlushes);
    if (isKnown || flushes.length === 0 || trouble !== undefined) return;
    if (at - this.#pingedAt >= PING_EVERY_MS) void this.#ping();
  }

  /** Never rejects: attempts report an unreachable server themselves. */
  async #ping(): Promise<void> {
    const { clock, sink, isDelayAuto } = this.#parts;
    if (!isDelayAuto) return;
    this.#pingedAt = clock.monotonic();
    let shortest = Number.POSITIVE_INFINITY;
    try {
      for (let i = 0; i < PINGS; i++) {
        const startedAt = clock.monotonic();
        await sink.ping(PING_TIMEOUT_MS);
        shortest = Math.min(shortest, clock.monotonic() - startedAt);
      }
      this.#pingMs = shortest;
    } catch {
      // Keeps the last value.
    }
  }
}

/** Figures whose change is logged; the delay is not, because it changes a little with each look. */
function figuresOf({ workers, tried }: Tuning): string {
  return `${workers} ${tried.length} ${tried.at(-1)?.at ?? ''}`;
}
