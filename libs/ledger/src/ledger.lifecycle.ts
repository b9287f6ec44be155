import type {
  BeforeApplicationShutdown,
  OnApplicationBootstrap,
  OnApplicationShutdown,
  OnModuleDestroy,
  OnModuleInit,
} from '@nestjs/common';
import type { Server } from 'node:http';
import type { Ledger } from './assemble-ledger.js';
import { AdviceWatch } from './advice/advice-watch.js';
import type { OpenCalls } from './channel/open-calls.js';
import { notTheLedger } from './config/configured-ledger.js';
import { describeSettings } from './config/describe-settings.js';
import { LedgerStreamClaim } from './ledger.stream-claim.js';
import type { PoolShare } from './ledger.pool-share.js';
import type { QueueWorker } from './metering/queue-workers.js';
import { OpenConnections } from './metering/open-connections.js';
import { OnePerNest } from './nest/one-per-nest.js';
import type { PartitionKeeper } from './partitions/partition-keeper.js';
import type { LedgerFiles } from './files/ledger-files.js';
import { probeJournal } from './ledger.journal-probe.js';
import { describeLeft } from './ledger.left-files.js';
import type { Timer } from './clock/clock.js';
import { realTimers } from './clock/real-timers.js';

/** Time that an application has to call `enableShutdownHooks()` after its bootstrap. */
const SIGTERM_GRACE_MS = 5000;
/** Interval of the search for idle connections while the HTTP server closes. */
const CLOSE_IDLE_MS = 50;

/** The inputs of the lifecycle. */
export interface LedgerLifecycleParts {
  /** The ledger's name. */
  readonly name: string;
  readonly ledger: Ledger;
  readonly files: LedgerFiles;
  /** Undefined: the ledger writes to the application's own sink. */
  readonly pool: PoolShare | undefined;
  /** Undefined: there is no table. */
  readonly partitions: PartitionKeeper | undefined;
  /** Undefined: there is no table. */
  readonly rollups: { start(written: () => number): void; stop(): void } | undefined;
  /** Lifecycles of all ledgers of this application, this one among them. */
  readonly all: () => LedgerLifecycle[];
  /** Throws a LedgerOptionsError if this ledger does not fit the rest of the application. */
  readonly checkApplication: () => void;
  /** Workers of Bull and BullMQ in the application. */
  readonly queueWorkers: () => QueueWorker[];
  /** Open messages of the whole application whose handlers have no decorator. */
  readonly messages: OpenCalls;
  /** The application's HTTP server, if it has one. */
  readonly httpServer: () => Server | undefined;
  /** Test runners end their processes without a signal. */
  readonly isUnderTest: boolean;
}

/**
 * The only class of a ledger with Nest's hooks, so their order is defined in one place. No shutdown
 * hook throws. Each may be called twice, or without the earlier ones.
 *
 * @internal
 */
@OnePerNest('LedgerLifecycle')
export class LedgerLifecycle
  implements
    OnModuleInit,
    OnApplicationBootstrap,
    OnModuleDestroy,
    BeforeApplicationShutdown,
    OnApplicationShutdown
{
  readonly #parts: LedgerLifecycleParts;
  #boot: Promise<void> | undefined;
  readonly #adviceWatch: AdviceWatch;
  readonly #stream: LedgerStreamClaim;
  #sigtermWatch: Timer | undefined;
  #closingIdle: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #end: Promise<void> | undefined;

  constructor(parts: LedgerLifecycleParts) {
    this.#parts = parts;
    const { clock, logger, stats, surroundings } = parts.ledger;
    this.#stream = new LedgerStreamClaim(parts.ledger, parts.name);
    const environment = () => surroundings.read();
    this.#adviceWatch = new AdviceWatch({ clock, logger, stats, environment });
  }

  get name(): string {
    return this.#parts.name;
  }

  /**
   * Finds the database and starts the workers.
   *
   * @throws LedgerOptionsError if there is no database, if two ledgers have one name or one table,
   * if a configuration belongs to no ledger, if another application has the stream, or if this process can't write to `journalDir`
   * @throws SinkTransientError, SinkHaltError with `connectAtBoot`, if the database is unreachable
   * or its table does not match the definition
   */
  async onModuleInit(): Promise<void> {
    if (this.#parts.ledger.status.isStopping) return;
    this.#boot ??= this.#begin().catch((error: unknown) => this.#fail(error));
    await this.#boot;
  }

  async #begin(): Promise<void> {
    const { pool, ledger } = this.#parts;
    this.#checkName();
    this.#parts.checkApplication();
    this.#stream.take();
    pool?.begin(this.#otherPools());
    this.#announce();
    await probeJournal(ledger, this.#parts.name);
    await ledger.recovery?.watch?.();
    await this.#probeSpillDirectory();
    await this.#start();
    if (ledger.status.isStopping) return;
    this.#adviceWatch.start();
    const { counters } = ledger;
    this.#parts.rollups?.start(() => counters.written);
  }

  #checkName(): void {
    const { name, all } = this.#parts;
    if (all().filter((each) => each.name === name).length < 2) return;
    throw notTheLedger(
      name,
      'two ledgers of one application need different names: defineLedger({ name })',
    );
  }

  #otherPools(): PoolShare[] {
    const others = this.#parts.all().filter((each) => each !== this);
    return others.flatMap((each) => each.#parts.pool ?? []);
  }

  #announce(): void {
    const { logger, options, writer } = this.#parts.ledger;
    const { batchSize, flushMs, bufferSize } = options;
    const unit = flushMs === 'auto' ? '' : ' ms';
    logger.log(
      `started ${writer.numWorkers} workers: batch ${batchSize}, flush ${flushMs}${unit}, ` +
        `buffer ${bufferSize}`,
    );
    if (options.role === 'gateway')
      logger.log('gateway: entries go to the stream, and no database is used');
    if (options.role === 'writer')
      logger.log('writer: entries come from the stream, and none are accepted here');
    logger.log(`settings: ${describeSettings(options.settings)}`);
    for (const warning of options.warnings) logger.warn(`WARNING: ${warning}`);
  }

  async #probeSpillDirectory(): Promise<void> {
    const { files, ledger } = this.#parts;
    const { fault, risk } = await files.probe();
    if (fault !== undefined) {
      ledger.logger.error(
        `spillDir can't be used (${fault}): entries left at the shutdown deadline would be lost`,
      );
      return;
    }
    if (risk !== undefined) ledger.logger.warn(`WARNING: spillDir is not safe: ${risk}`);
    const left = await files.findLeft();
    if (left !== undefined) ledger.logger.warn(`WARNING: ${describeLeft(left, ledger)}`);
  }

  async #start(): Promise<void> {
    const { ledger, pool } = this.#parts;
    const { writer, options } = ledger;
    let fail: (error: unknown) => void = () => {};
    const failed = new Promise<never>((_, reject) => (fail = reject));
    failed.catch(() => undefined);
    const started = writer.start(fail);
    void started.then(() => pool?.warnOfConnections());
    if (options.connectAtBoot === true) await Promise.race([started, failed]);
    // The application's database is reachable, so faults of the table are reported before the first
    // request.
    else if (pool?.isOwn === false) await Promise.race([started, failed.catch(() => undefined)]);
  }

  /**
   * Other modules may have recorded entries already, and Nest calls no further hook of this module.
   */
  async #fail(error: unknown): Promise<never> {
    const { ledger, files } = this.#parts;
    this.#stopWatches();
    await ledger.shutdown.fail();
    await ledger.recovery?.close();
    await files.close();
    await this.#stream.close();
    throw error;
  }

  /** Watches the server's connections; some seconds later, warns once if a SIGTERM would end the process without a drain. */
  onApplicationBootstrap(): void {
    const { ledger, isUnderTest } = this.#parts;
    const server = this.#parts.httpServer();
    if (server) OpenConnections.of(server);
    if (isUnderTest || this.#sigtermWatch !== undefined) return;
    this.#sigtermWatch = ledger.clock.after(SIGTERM_GRACE_MS, () => {
      if (process.listenerCount('SIGTERM') > 0 || ledger.status.isStopping) return;
      ledger.logger.warn(
        'WARNING: nobody listens for SIGTERM, so a stop would lose what the channel holds: ' +
          'call app.enableShutdownHooks()',
      );
    });
  }

  /**
   * Writes the entries accepted up to now. Requests are still served, and their entries are
   * accepted.
   */
  async onModuleDestroy(): Promise<void> {
    await Promise.all(this.#together.map((each) => each.#drain()));
  }

  /**
   * Nest waits for one module after another, so the time limits of several ledgers would add up.
   */
  get #together(): LedgerLifecycle[] {
    return [...new Set([this, ...this.#parts.all()])];
  }

  #drain(): Promise<void> {
    this.#startIfHolding();
    this.#stopWatches();
    return this.#parts.ledger.shutdown.drain();
  }

  /**
   * An application may be closed before it has started, and constructors may have recorded entries.
   */
  #startIfHolding(): void {
    const { ledger } = this.#parts;
    const isHolding = ledger.stats().depth > 0 || ledger.openCalls.size > 0;
    if (this.#boot !== undefined || !isHolding) return;
    this.onModuleInit().catch((error: unknown) => ledger.logger.error(String(error)));
  }

  #stopWatches(): void {
    this.#sigtermWatch?.cancel();
    this.#adviceWatch.stop();
    this.#parts.ledger.auto?.stop();
    this.#parts.partitions?.stop();
    this.#parts.rollups?.stop();
  }

  /**
   * Closes the workers of queues, so that no new job starts, and waits for running jobs. From here
   * on, idle, silent and answered connections are closed, because they would keep the server open.
   */
  async beforeApplicationShutdown(): Promise<void> {
    this.#closeIdleConnections();
    await Promise.all(this.#together.map((each) => (each.#closing ??= each.#closeWorkers())));
  }

  async #closeWorkers(): Promise<void> {
    const { ledger, queueWorkers } = this.#parts;
    const workers = queueWorkers();
    if (workers.length === 0) return;
    const closed = Promise.allSettled(workers.map((worker) => worker.close()));
    if (await ledger.shutdown.waitFor(closed)) return;
    ledger.logger.warn(
      'WARNING: jobs are still running at shutdownTimeoutMs: entries that they record later are spilled',
    );
  }

  #closeIdleConnections(): void {
    const server = this.#closableServer;
    if (!server) return;
    const connections = OpenConnections.of(server);
    const close = (): void => connections.closeUnused();
    connections.endAfterAnswers();
    this.#closingIdle ??= realTimers.setInterval(close, CLOSE_IDLE_MS).unref();
    close();
  }

  /** Undefined without HTTP/1, or if the application closes connections itself. */
  get #closableServer(): Server | undefined {
    if (!this.#parts.ledger.options.closeIdleConnections) return undefined;
    const server = this.#parts.httpServer();
    return typeof server?.closeIdleConnections === 'function' ? server : undefined;
  }

  /** Refuses new entries, writes or spills the rest, and ends the ledger's own connection. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.#together.map((each) => (each.#end ??= each.#seal())));
  }

  /** Calls that are still open are recorded with the data known so far. */
  async #endCalls(): Promise<void> {
    const { messages } = this.#parts;
    const { shutdown, openCalls, logger } = this.#parts.ledger;
    if (openCalls.size + messages.size === 0) return;
    if (await shutdown.waitFor(Promise.all([openCalls.idle(), messages.idle()]))) return;
    if (messages.size > 0) {
      logger.warn(
        `WARNING: ${messages.size} messages are still being handled at shutdownTimeoutMs: entries recorded later are spilled`,
      );
    }
    if (openCalls.size === 0) return;
    logger.warn(
      `WARNING: ${openCalls.size} calls are still running at shutdownTimeoutMs: they are recorded as aborted`,
    );
    openCalls.abortAll();
  }

  async #seal(): Promise<void> {
    realTimers.clearInterval(this.#closingIdle);
    this.#stopWatches();
    const { ledger, files } = this.#parts;
    // Calls whose clients left last may still be open, although the server is closed.
    const server = this.#parts.httpServer();
    if (server) await OpenConnections.of(server).allGone();
    await this.#endCalls();
    const { ms } = await ledger.shutdown.finish();
    await ledger.recovery?.close();
    await files.close();
    const leftMs = ledger.options.shutdownTimeoutMs - ms;
    await this.#stream.close(leftMs);
  }
}
