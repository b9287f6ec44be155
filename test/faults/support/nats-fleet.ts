import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { jetstreamManager, type JetStreamManager, type StreamInfo } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsServers } from '../../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import type { FaultDatabase } from './fault-database.js';
import { JournalProcess } from './journal-process.js';

/** Numbers of two lives of a gateway must not meet. */
const LIFE = 100_000_000;
/** Name of the fleet's stream. */
export const FLEET_STREAM = 'ledger-default';
const ROLES = ['gateway', 'gateway', 'writer', 'writer'] as const;

/** What a fleet is made of. */
export interface NatsFleetParts {
  readonly brokers: NatsServers;
  readonly database: FaultDatabase;
  /** As `buildJournalProgram('stream')` returns it. */
  readonly program: string;
  readonly journalDir: string;
  readonly spillDir: string;
  /** Entries a second of each gateway. */
  readonly rate: number;
}

/** Two gateways with a journal, and two writers. */
export class NatsFleet {
  /** All gateways that ever ran. */
  readonly lives: JournalProcess[] = [];
  /** Those that run: two gateways, then two writers. */
  readonly all: JournalProcess[] = [];
  readonly #parts: NatsFleetParts;

  constructor(parts: NatsFleetParts) {
    this.#parts = parts;
    for (const role of ROLES) this.all.push(this.#start(role));
  }

  #start(
    role: (typeof ROLES)[number],
    extra: Readonly<Record<string, string>> = {},
  ): JournalProcess {
    const { brokers, database, program, journalDir, spillDir } = this.#parts;
    const more = { ROLE: role, SERVERS: brokers.addresses.join(','), ...extra };
    const first = 1 + LIFE * this.lives.length;
    const rate = role === 'gateway' ? this.#parts.rate : 0;
    const common = { program, databaseUrl: database.url, journalDir, spillDir, sync: 'turn' };
    const started = new JournalProcess({ ...common, first, rate, more });
    if (role === 'gateway') this.lives.push(started);
    return started;
  }

  get gateways(): JournalProcess[] {
    return this.all.slice(0, 2);
  }

  /** Kills a process, and starts another in its place. @param index 0 and 1 are gateways */
  async replace(index: number): Promise<void> {
    await this.all[index]!.kill();
    this.all[index] = this.#start(ROLES[index]!);
  }

  /**
   * Stops a process by SIGTERM, and starts another in its place.
   *
   * @param extra environment of the other
   * @returns the one that stopped
   */
  async restart(
    index: number,
    extra: Readonly<Record<string, string>> = {},
  ): Promise<JournalProcess> {
    const stopped = this.all[index]!;
    await stopped.stop();
    this.all[index] = this.#start(ROLES[index]!, extra);
    return stopped;
  }

  /** Each gateway goes on accepting: another second of entries is in its journal. */
  async goesOn(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.isDurable(this.#parts.rate)));
  }

  /** Nothing is in a channel, in a journal, in the stream or in flight any more. */
  async isSettled(): Promise<boolean> {
    const areIdle = (): boolean =>
      this.all.every(({ stats }) => stats !== undefined && stats.depth + stats.inFlight === 0);
    if (!areIdle() || (await this.#left()).length > 0) return false;
    return (await this.waiting().catch(() => 1)) === 0 && areIdle();
  }

  /** Journals of gateways that were killed. */
  async #left(): Promise<string[]> {
    const names = await readdir(join(this.#parts.journalDir, 'default')).catch(() => []);
    return names.filter((name) => !this.gateways.some(({ run }) => name.startsWith(run)));
  }

  /** Messages that no writer is done with. */
  async waiting(): Promise<number> {
    return (await this.#info()).state.messages;
  }

  /** Index of the server that leads the stream; undefined while there is none. */
  async leader(): Promise<number | undefined> {
    const { cluster } = await this.#info();
    const index = Number(/^n(\d)$/.exec(cluster?.leader ?? '')?.[1]);
    return Number.isInteger(index) ? index : undefined;
  }

  #info(): Promise<StreamInfo> {
    return this.manage((streams) => streams.info(FLEET_STREAM));
  }

  /** Does something with the streams of the brokers, as a person does. */
  async manage<T>(work: (streams: JetStreamManager['streams']) => Promise<T>): Promise<T> {
    const nc = await connect({ servers: this.#parts.brokers.addresses, timeout: 5000 });
    try {
      const { streams } = await jetstreamManager(nc, { checkAPI: false });
      return await work(streams);
    } finally {
      await nc.close();
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.all.map((each) => each.kill()));
  }
}

/** Stops a process for a while, as a machine does that is paused. */
export async function hold(
  signal: (name: 'SIGSTOP' | 'SIGCONT') => void | Promise<void>,
  ms: number,
): Promise<void> {
  await signal('SIGSTOP');
  await pause(ms);
  await signal('SIGCONT');
}
