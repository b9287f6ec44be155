import { execFile, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { LedgerStats } from '../../../libs/ledger/src/ports/ledger-stats.interface.js';
import { assertConservation } from '../../../libs/ledger/src/testing/ledger-under-test.js';
import { transpileFolder } from '../../support/transpile.js';
import type { OutageCommand, OutageReport } from './outage/protocol.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const FOLDER = fileURLToPath(new URL('./outage', import.meta.url));

/** An application with a journal, in a separate process, that records on request. */
export class OutageApp {
  #said = '';
  #next: Promise<OutageReport>;
  #hear!: (report: OutageReport) => void;
  #refuse!: (error: Error) => void;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#next = this.#wait();
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    }
    child.on('message', (report: OutageReport) => this.#hear(report));
    child.once('exit', () => this.#refuse(new Error(`the process ended\n${this.#said}`)));
  }

  /** @param settings of the ledger by their names in the environment, without `LEDGER_ASYNC_` */
  static async start(
    databaseUrl: string,
    settings: Record<string, string | number>,
  ): Promise<OutageApp> {
    await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
    const main = fileURLToPath(new URL('main.js', await transpileFolder(FOLDER)));
    const { PATH, HOME, TMPDIR } = process.env;
    const named = Object.entries(settings).map(([name, value]) => [
      `LEDGER_ASYNC_${name}`,
      `${value}`,
    ]);
    const child = fork(main, [], {
      cwd: ROOT,
      env: {
        ...{ PATH, HOME, TMPDIR, LEDGER_DATABASE_URL: databaseUrl },
        ...(Object.fromEntries(named) as Record<string, string>),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const app = new OutageApp(child);
    await app.#next;
    return app;
  }

  /** What it wrote to its log. */
  get output(): string {
    return this.#said;
  }

  #wait(): Promise<OutageReport> {
    return new Promise((resolve, reject) => {
      this.#hear = resolve;
      this.#refuse = reject;
    });
  }

  async #ask<K extends OutageReport['is']>(
    command: OutageCommand,
  ): Promise<Extract<OutageReport, { is: K }>> {
    this.#next = this.#wait();
    this.#child.send(command);
    return (await this.#next) as Extract<OutageReport, { is: K }>;
  }

  /** Records entries of users `first` and following; the turn of the last has ended when it resolves. */
  async record(first: number, count: number): Promise<{ stats: LedgerStats; moreMemory: number }> {
    const { stats, moreMemory } = await this.#ask<'recorded'>({ do: 'record', first, count });
    assertConservation(stats);
    return { stats, moreMemory };
  }

  /** Records one and waits until it is durable. @returns the outcome, or the error's name */
  async wait(first: number): Promise<string> {
    const { outcome } = await this.#ask<'waited'>({ do: 'wait', first });
    return outcome;
  }

  /** Waits until the counters meet a condition. The test's own limit ends it. */
  async until(condition: (stats: LedgerStats) => boolean): Promise<LedgerStats> {
    for (;;) {
      const { stats } = await this.#ask<'report'>({ do: 'report' });
      assertConservation(stats);
      if (condition(stats)) return stats;
      await pause(50);
    }
  }

  /** Stops it in order. */
  async close(): Promise<void> {
    const exit = once(this.#child, 'exit');
    await this.#ask<'closed'>({ do: 'close' });
    await exit;
  }

  /** Ends it at once, unless it has ended. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#next.catch(() => undefined);
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}
