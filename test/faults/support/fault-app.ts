import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LedgerStats } from '../../../libs/ledger/src/ports/ledger-stats.interface.js';
import { transpileFolder } from '../../support/transpile.js';
import type { AppCommand, AppReport } from './app/protocol.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const APP_FOLDER = fileURLToPath(new URL('./app', import.meta.url));
const START_TIMEOUT_MS = 20_000;

/** Entries reported as queued to one process, and later reports about some of them. */
export interface QueuedEntries {
  readonly run: string;
  /** Sequences 0 to this minus 1 are queued. */
  sequenced: number;
  readonly own: Set<string>;
  readonly acknowledged: Set<string>;
  readonly setAside: Set<string>;
  /** True if the process was killed: what it queued after its last report is unknown. */
  isKilled: boolean;
}

/** A Nest application with a ledger, in a separate process, that records on request. */
export class FaultApp {
  stats: LedgerStats | undefined;
  #said = '';
  readonly #exited: Promise<unknown>;

  private constructor(
    private readonly child: ChildProcess,
    readonly spillDir: string,
    readonly queued: QueuedEntries,
  ) {
    // A process may have ended before its last report and its last lines were read.
    this.#exited = Promise.all(['close', 'disconnect'].map((event) => once(child, event)));
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    }
    child.on('message', (report: AppReport) => this.#hear(report));
  }

  /** @param settings of the ledger by their names in the environment, without `LEDGER_ASYNC_` */
  static async start(
    databaseUrl: string,
    settings: Record<string, string | number> = {},
  ): Promise<FaultApp> {
    await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
    const main = fileURLToPath(new URL('main.js', await transpileFolder(APP_FOLDER)));
    const spillDir = await mkdtemp(join(tmpdir(), 'nestjs-ledger-spill-'));
    const { PATH, HOME, TMPDIR } = process.env;
    const own = { NUM_WORKERS: 3, BATCH_SIZE: 50, FLUSH_MS: 20, BUFFER_SIZE: 200_000 };
    const limits = { WRITE_TIMEOUT_MS: 1500, RETRY_MIN_MS: 20, RETRY_MAX_MS: 200 };
    const given = { ...own, ...limits, SPILL_DIR: spillDir, ...settings };
    const named = Object.entries(given).map(([name, value]) => [
      `LEDGER_ASYNC_${name}`,
      `${value}`,
    ]);
    const child = fork(main, [], {
      cwd: ROOT,
      env: {
        ...{ PATH, HOME, TMPDIR, LEDGER_DATABASE_URL: databaseUrl },
        ...(Object.fromEntries(named) as Record<string, string>),
      },
      execArgv: ['--enable-source-maps'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const queued: QueuedEntries = {
      run: '',
      sequenced: 0,
      own: new Set(),
      acknowledged: new Set(),
      setAside: new Set(),
      isKilled: false,
    };
    const app = new FaultApp(child, spillDir, queued);
    const ready = await app.#next('ready', START_TIMEOUT_MS);
    return Object.assign(app, { queued: Object.assign(queued, { run: ready.run }) });
  }

  get output(): string {
    return this.#said;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** @param isAwaited whether some callers wait for the commit, so that batches are due at once */
  load(perSecond: number, { memoBytes = 0, isAwaited = true } = {}): void {
    this.#send({ do: 'load', perSecond, memoBytes, isAwaited });
  }

  pause(): void {
    this.#send({ do: 'pause' });
  }

  /** Asks for counters, and for what was queued since the report before. */
  async report(): Promise<LedgerStats> {
    const next = this.#next('report');
    this.#send({ do: 'report' });
    return (await next).stats;
  }

  /** Waits until it has nothing left to write. @throws Error with its output after `timeoutMs` */
  async settled(timeoutMs = 20_000): Promise<LedgerStats> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const stats = await this.report();
      if (stats.depth + stats.inFlight + stats.waiting === 0) return stats;
      if (performance.now() > deadline) throw new Error(`not settled\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until the counters meet a condition. @throws Error with its output after 20 s */
  async until(condition: (stats: LedgerStats) => boolean): Promise<LedgerStats> {
    const deadline = performance.now() + 20_000;
    for (;;) {
      const stats = await this.report();
      if (condition(stats)) return stats;
      if (performance.now() > deadline) throw new Error(`it did not come about\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Calls `app.close()`, so often at the same time. @returns milliseconds that it took */
  async close(times = 1): Promise<number> {
    const closed = this.#next('closed');
    this.#send({ do: 'close', times });
    const { ms } = await closed;
    await this.#exited;
    return ms;
  }

  /** Sends signals and waits for the end. @returns how it ended and after how long */
  async end(...signals: NodeJS.Signals[]): Promise<{ signal: string | null; ms: number }> {
    const startedAt = performance.now();
    if (signals.includes('SIGKILL')) this.queued.isKilled = true;
    for (const signal of signals) this.child.kill(signal);
    await this.#exited;
    return { signal: this.child.signalCode, ms: performance.now() - startedAt };
  }

  /** Ends it if it still runs, and takes its files away. */
  async dispose(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.end('SIGKILL');
    await rm(this.spillDir, { recursive: true, force: true });
  }

  #send(command: AppCommand): void {
    this.child.send(command);
  }

  #hear(report: AppReport): void {
    if (report.is !== 'report') return;
    const { stats, entries } = report;
    this.stats = stats;
    this.queued.sequenced = entries.sequenced;
    for (const uuid of entries.own) this.queued.own.add(uuid);
    for (const uuid of entries.acknowledged) this.queued.acknowledged.add(uuid);
    for (const uuid of entries.setAside) this.queued.setAside.add(uuid);
  }

  async #next<K extends AppReport['is']>(
    kind: K,
    timeoutMs = 30_000,
  ): Promise<Extract<AppReport, { is: K }>> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.child.off('message', onMessage);
        this.child.off('exit', onExit);
      };
      const fail = (why: string): void => (end(), reject(new Error(`${why}\n${this.#said}`)));
      const onMessage = (report: AppReport): void => {
        if (report.is !== kind) return;
        end();
        resolve(report as Extract<AppReport, { is: K }>);
      };
      const onExit = (): void => fail(`the process ended before it said ${kind}`);
      const timer = setTimeout(() => fail(`the process did not say ${kind}`), timeoutMs);
      this.child.on('message', onMessage);
      this.child.once('exit', onExit);
    });
  }
}
