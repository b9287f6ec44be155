import type { ChildProcess } from 'node:child_process';
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  locateDataDirectory,
  prepareDataDirectory,
  serverEnvironment,
  SUPERUSER,
  type DataDirectory,
} from './data-directory.js';
import { findFreePort } from './free-port.js';
import { chooseLifeline, spawnWithLifeline, type Lifeline } from './lifeline.js';
import { findPostgresPrograms, type PostgresPrograms } from './postgres-package.js';
import { findLivePostmaster, waitUntilReady } from './postmaster-file.js';
import { chooseServerAccount, type ServerAccount } from './server-account.js';

/** Longest wait for a server to get ready (crash recovery included) or to go away. */
const START_TIMEOUT_MS = 30_000;
/** Fast shutdown takes tens of milliseconds; after this long the server is killed. */
const STOP_TIMEOUT_MS = 10_000;
/**
 * A killed server's backends hold its shared memory until they notice: for up to 2 s, and for longer in the
 * middle of a large COPY. Start again for 20 s.
 */
const MAX_ATTEMPTS = 100;
const ATTEMPT_PAUSE_MS = 200;

/** Where and how to run the server. */
export interface EmbeddedPostgresOptions {
  /** Made if it is not there, kept at `stop()`, removed by `dispose()`. */
  readonly dataDir: string;
  /** Wanted port on 127.0.0.1; another is taken if it is not free. Default: any. */
  readonly port?: number;
  /** Server settings, as in postgresql.conf: `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** How the server learns that this process died. Default: the kernel's way if there is one. */
  readonly lifeline?: Lifeline;
}

interface ServerPlan {
  readonly programs: PostgresPrograms;
  readonly account: ServerAccount | undefined;
  readonly data: DataDirectory;
  /** Holds the data and nothing else. */
  readonly folder: string;
  readonly lifeline: Lifeline;
  readonly settings: Readonly<Record<string, string | number>>;
}

/**
 * Starts PostgreSQL from the npm package of this platform and returns when it takes connections:
 * only on 127.0.0.1, only with its password. A kept data directory is used as it is; a server that
 * already runs on it is used too and left running at the end. No server outlives this process, even
 * if it is killed; no signal handler is installed, so the caller decides when to stop it.
 *
 * @throws Error if there is no package for this platform, or the server does not start; the message
 * then ends with the last lines of its log
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const account = await chooseServerAccount(options.dataDir);
  const programs = await findPostgresPrograms(account);
  const location = await locateDataDirectory(options.dataDir, account);
  // A sheltered directory may have another owner than the wanted one would.
  const owner = await chooseServerAccount(location.path);
  const data = await prepareDataDirectory(location.path, programs, owner);
  const server = new EmbeddedPostgres({
    programs,
    account: owner,
    data,
    folder: location.shelter ?? location.path,
    lifeline: options.lifeline ?? chooseLifeline(),
    settings: options.settings ?? {},
  });
  await server.start(options.port);
  return server;
}

/**
 * A PostgreSQL server of this process. States: running (`start`, `restart`), stopped (`stop`,
 * `kill`, or by itself). Stopping twice is allowed.
 */
export class EmbeddedPostgres {
  private child: ChildProcess | undefined;
  private livePid = 0;
  private livePort = 0;

  /** @internal */
  constructor(private readonly plan: ServerPlan) {}

  /** Connection string of the superuser; holds the password. The same after `restart()`. */
  get url(): string {
    return `postgres://${SUPERUSER}:${this.plan.data.password}@127.0.0.1:${this.livePort}/postgres`;
  }

  get port(): number {
    return this.livePort;
  }

  /** Process id of the postmaster; of the last one while stopped. */
  get pid(): number {
    return this.livePid;
  }

  /** Where the data is; differs from what was asked for if the server could not run there. */
  get dataDir(): string {
    return this.plan.data.path;
  }

  /** True if another process started this server: then `stop()` leaves it running. */
  get isForeign(): boolean {
    return this.child === undefined && this.livePid !== 0;
  }

  /** @internal */
  async start(wantedPort?: number): Promise<void> {
    const live = await findLivePostmaster(this.dataDir, START_TIMEOUT_MS);
    if (live?.port) {
      this.child = undefined;
      this.livePid = live.pid;
      this.livePort = live.port;
      return;
    }
    this.livePort = await findFreePort(wantedPort);
    for (let attempt = 1; ; attempt++) {
      const failure = await this.tryStart();
      if (failure === undefined) return;
      const portWasTaken = failure.includes('could not create any TCP/IP sockets');
      const isBusy = portWasTaken || failure.includes('shared memory block');
      if (!isBusy || attempt === MAX_ATTEMPTS) {
        throw new Error(`PostgreSQL did not start in ${this.dataDir}:\n${failure}`);
      }
      if (portWasTaken) this.livePort = await findFreePort();
      await delay(ATTEMPT_PAUSE_MS);
    }
  }

  /** Ends the server by fast shutdown: open transactions are rolled back, nothing is lost. */
  async stop(): Promise<void> {
    if (!(await this.end('SIGINT'))) await this.kill();
  }

  /**
   * Ends the server and removes its data, wherever they are and also if they were there before. A
   * server that another process has started on them meanwhile is left as it is, with its data.
   */
  async dispose(): Promise<void> {
    if (this.isForeign) return;
    await this.stop();
    if (await findLivePostmaster(this.dataDir, START_TIMEOUT_MS)) return;
    // What is left of a killed server goes on writing for a moment.
    const retries = { maxRetries: MAX_ATTEMPTS, retryDelay: ATTEMPT_PAUSE_MS };
    await rm(this.plan.folder, { recursive: true, force: true, ...retries });
  }

  /** Ends the server like a crash: no shutdown, its next start recovers. For tests of outages. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /**
   * Stops the server if it runs, and starts it on the same data and the same port.
   *
   * @throws Error if the port was taken by another process meanwhile
   */
  async restart(): Promise<void> {
    await this.stop();
    const port = this.livePort;
    await this.start(port);
    if (this.livePort !== port) throw new Error(`port ${port} was taken by another process`);
  }

  private async tryStart(): Promise<string | undefined> {
    const logFile = join(this.dataDir, 'server.log');
    await rm(logFile, { force: true });
    const log = await open(logFile, 'wx', 0o600);
    const child = spawnWithLifeline(this.command(), this.plan.lifeline, {
      ...this.plan.account,
      cwd: '/',
      env: serverEnvironment(),
      stdio: ['ignore', log.fd, log.fd],
    });
    const ended = new AbortController();
    child.once('exit', () => ended.abort());
    child.once('error', () => ended.abort());
    await log.close();
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(START_TIMEOUT_MS)]);
    if (child.pid !== undefined && (await waitUntilReady(this.dataDir, child.pid, signal))) {
      this.child = child;
      this.livePid = child.pid;
      // The server must not keep a process alive that has nothing else to do.
      child.unref();
      return undefined;
    }
    child.kill('SIGKILL');
    const said = await readFile(logFile, 'utf8');
    return said.trim().split('\n').slice(-10).join('\n');
  }

  private command(): [string, ...string[]] {
    const settings: Record<string, string | number> = {
      listen_addresses: '127.0.0.1',
      port: this.livePort,
      // The password is the only way in; a socket file would need a short path as well.
      unix_socket_directories: '',
      ...this.plan.settings,
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    return [this.plan.programs.postgres, '-D', this.dataDir, ...flags];
  }

  private async end(signal: NodeJS.Signals): Promise<boolean> {
    const child = this.child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return true;
    child.ref();
    const exited = new Promise<true>((resolve) => child.once('exit', () => resolve(true)));
    child.kill(signal);
    const timer = new AbortController();
    const timeout = delay(STOP_TIMEOUT_MS, false as const, { signal: timer.signal });
    const ended = await Promise.race([exited, timeout.catch(() => false as const)]);
    timer.abort();
    return ended;
  }
}
