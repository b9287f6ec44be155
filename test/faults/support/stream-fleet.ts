import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { assertConservation } from '../../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './fault-database.js';
import { countEntries, dropLedger } from './journal-entries.js';
import { buildJournalProgram, JournalProcess } from './journal-process.js';

/** Numbers of two lives of a gateway must not meet. */
const LIFE = 100_000_000;
/** More than the election of a leader, which takes up to six seconds, and than a group takes to notice a death. */
export const SETTLE = { timeout: 60_000, interval: 500 };
const ROLES = ['gateway', 'gateway', 'writer', 'writer'] as const;

/** Servers of a stream that can be killed. */
export interface StreamBrokers {
  readonly addresses: readonly string[];
  signal(index: number, signal: NodeJS.Signals): Promise<void>;
  restart(index: number): Promise<void>;
  stop(): Promise<void>;
}

/** What fleets of one spec file share. */
export class FleetPlace {
  private constructor(
    readonly program: string,
    readonly database: FaultDatabase,
    readonly folder: string,
  ) {}

  static async make(): Promise<FleetPlace> {
    const program = await buildJournalProgram('stream');
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stream-'));
    await mkdir(join(folder, 'spills'));
    return new FleetPlace(program, await FaultDatabase.start(), folder);
  }

  get spillDir(): string {
    return join(this.folder, 'spills');
  }

  async remove(): Promise<void> {
    await this.database.dispose();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** What a fleet is made of. */
export interface StreamFleetParts<Brokers extends StreamBrokers = StreamBrokers> {
  readonly place: FleetPlace;
  readonly brokers: Brokers;
  /** Of the folder of its journals. */
  readonly name: string;
  /** Entries a second of each gateway. */
  readonly rate: number;
  /** More environment of a process. @param index 0 and 1 are gateways */
  readonly environment?: (index: number) => Readonly<Record<string, string>>;
}

/** Two gateways with a journal, and two writers, over brokers that end with it. */
export abstract class StreamFleet<Brokers extends StreamBrokers = StreamBrokers> {
  /** All gateways that ever ran. */
  readonly lives: JournalProcess[] = [];
  /** Those that run: two gateways, then two writers. */
  readonly all: JournalProcess[] = [];
  readonly journalDir: string;
  protected readonly parts: StreamFleetParts<Brokers>;

  constructor(
    private readonly engine: 'nats' | 'kafka',
    parts: StreamFleetParts<Brokers>,
  ) {
    this.parts = parts;
    this.journalDir = join(parts.place.folder, parts.name);
    for (const index of ROLES.keys()) this.all.push(this.#start(index));
  }

  /** Whether a writer stops at a message that it can't read, with all that are behind it. */
  abstract readonly stopsAtUnread: boolean;

  /** The stream, as messages about it name it: `topic t`. */
  abstract readonly streamName: string;

  /** Address of the brokers, as commands take it. */
  abstract get url(): string;

  /** Messages that no writer is done with. */
  abstract waiting(): Promise<number>;

  /** What the brokers say of the stream, for a test that failed. */
  async describeStream(): Promise<string> {
    return `${await this.waiting()} messages`;
  }

  /** Layouts of which writers have made consumers; none where one group reads all. */
  async consumedLayouts(): Promise<string[]> {
    return [];
  }

  /** Index of the broker that leads the stream, or a part of it; undefined while there is none. */
  abstract leader(): Promise<number | undefined>;

  /** Withdraws the permission to publish from all processes. */
  abstract denyPublishing(): Promise<void>;

  /** Gives back each permission. */
  abstract allowAll(): Promise<void>;

  /** Deletes the stream, and what waits in it. @returns makes it again, as it was */
  abstract deleteStream(): Promise<() => Promise<void>>;

  #start(index: number, given: Readonly<Record<string, string>> = {}): JournalProcess {
    const { place, brokers, environment } = this.parts;
    const role = ROLES[index]!;
    const extra = { ...environment?.(index), ...given };
    const { program, spillDir, database } = place;
    const servers = brokers.addresses.join(',');
    const more = { ROLE: role, ENGINE: this.engine, SERVERS: servers, ...extra };
    const first = 1 + LIFE * this.lives.length;
    const rate = role === 'gateway' ? this.parts.rate : 0;
    const common = { program, databaseUrl: database.url, spillDir, sync: 'turn' };
    const { journalDir } = this;
    const started = new JournalProcess({ ...common, journalDir, first, rate, more });
    if (role === 'gateway') this.lives.push(started);
    return started;
  }

  get gateways(): JournalProcess[] {
    return this.all.slice(0, 2);
  }

  get writers(): JournalProcess[] {
    return this.all.slice(2);
  }

  /** Kills a process, and starts another in its place. @param index 0 and 1 are gateways */
  async replace(index: number): Promise<void> {
    await this.all[index]!.kill();
    this.all[index] = this.#start(index);
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
    this.all[index] = this.#start(index, extra);
    return stopped;
  }

  /** Each gateway continues to accept: another second of entries is in its journal. */
  async goesOn(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.isDurable(this.parts.rate)));
  }

  /** Ends the load, waits for the last entry, and looks at each: none lost, none twice, the law in each process. */
  async losesNothing(): Promise<{ entries: number; lost: number; twice: number }> {
    const { database } = this.parts.place;
    for (const gateway of this.gateways) gateway.signal('SIGUSR2');
    await expect
      .poll(() => this.#isSettled(), SETTLE)
      .toBe(true)
      .catch(async (error: unknown) => {
        throw new Error(`not settled: ${await this.#whatIsLeft()}`, { cause: error });
      });
    const count = () => countEntries((sql) => database.sql(sql), this.lives);
    // A leader that was cut off may say for some seconds that its stream is empty.
    let counts = await count();
    for (const end = Date.now() + SETTLE.timeout; counts.lost > 0 && Date.now() < end;) {
      process.stdout.write(`${counts.lost} entries are not in the table yet\n`);
      await pause(SETTLE.interval * 10);
      counts = await count();
    }
    const { entries, lost, twice } = counts;
    process.stdout.write(`${this.parts.name}: ${entries} entries, ${lost} lost, ${twice} twice\n`);
    expect({ lost, twice }).toEqual({ lost: 0, twice: 0 });
    expect(entries).toBeGreaterThan(2 * this.parts.rate);
    for (const each of this.all) assertConservation(each.stats!);
    for (const { refusals } of this.lives) expect(refusals).toEqual([]);
    return counts;
  }

  /** Nothing is in a channel, in a journal, in the stream or in flight any more. */
  async #isSettled(): Promise<boolean> {
    const areIdle = (): boolean =>
      this.all.every(({ stats }) => stats !== undefined && stats.depth + stats.inFlight === 0);
    if (!areIdle() || (await this.#left()).length > 0) return false;
    return (await this.waiting().catch(() => 1)) === 0 && areIdle();
  }

  async #whatIsLeft(): Promise<string> {
    const processes = this.all.map(({ stats, lines }) => {
      const { depth, inFlight, received, published, written, state, reason } = stats ?? {};
      const counts = { depth, inFlight, received, published, written, state, reason };
      return `${JSON.stringify(counts)}\n${lines.slice(-10).join('\n')}`;
    });
    const stream = await this.describeStream().catch(String);
    const left = await this.#left();
    const { database } = this.parts.place;
    const { lost } = await countEntries((sql) => database.sql(sql), this.lives);
    const missing = `${lost} entries are not in the table`;
    return [missing, stream, `journals ${left.join(', ')}`, ...processes].join('\n');
  }

  /** Journals of gateways that were killed. */
  async #left(): Promise<string[]> {
    const names = await readdir(join(this.journalDir, 'default')).catch(() => []);
    return names.filter((name) => !this.gateways.some(({ run }) => name.startsWith(run)));
  }

  async end(): Promise<void> {
    await Promise.all(this.all.map((each) => each.kill()));
    await this.parts.brokers.stop();
  }
}

/** Gives a test a fleet under load on an empty ledger, and ends the fleet with it. */
export async function withFleet<Fleet extends StreamFleet>(
  { database }: FleetPlace,
  start: () => Fleet,
  test: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  await dropLedger(database);
  const fleet = start();
  try {
    await fleet.goesOn();
    await test(fleet);
  } finally {
    await fleet.end();
  }
}
