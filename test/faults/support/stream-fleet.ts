import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { assertConservation } from '../../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './fault-database.js';
import { countEntries, dropLedger } from './journal-entries.js';
import { buildJournalProgram, JournalProcess } from './journal-process.js';
import type { Seed } from './seed.js';

/** Entries a second of each of two gateways. */
const RATE = 3000;
/** Numbers of two lives of a gateway must not meet. */
const LIFE = 100_000_000;
/** More than the election of a leader, which takes up to six seconds, and than a group takes to notice a death. */
const DRAIN_MS = 60_000;

/** Three servers of a stream that can be killed. */
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
    return new FleetPlace(program, await FaultDatabase.start(), folder);
  }

  async remove(): Promise<void> {
    await this.database.dispose();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** What a fleet is made of. */
export interface StreamFleetParts {
  readonly place: FleetPlace;
  readonly brokers: StreamBrokers;
  readonly engine: 'nats' | 'kafka';
  /** Of its folder. */
  readonly name: string;
  /** Messages that no writer is done with. */
  readonly waiting: () => Promise<number>;
}

/** Two gateways, two writers, three brokers. */
export class StreamFleet {
  readonly #parts: StreamFleetParts;
  readonly #lives: JournalProcess[] = [];
  readonly #all: JournalProcess[] = [];
  readonly #journalDir: string;

  constructor(parts: StreamFleetParts) {
    this.#parts = parts;
    this.#journalDir = join(parts.place.folder, parts.name);
    for (const role of ['gateway', 'gateway', 'writer', 'writer'] as const) this.#start(role);
  }

  #start(role: 'gateway' | 'writer'): JournalProcess {
    const { place, brokers, engine } = this.#parts;
    const more = { ROLE: role, ENGINE: engine, SERVERS: brokers.addresses.join(',') };
    const [first, rate] = [1 + LIFE * this.#lives.length, role === 'gateway' ? RATE : 0];
    const started = new JournalProcess({
      ...{
        program: place.program,
        databaseUrl: place.database.url,
        sync: 'turn',
        first,
        rate,
        more,
      },
      ...{ journalDir: this.#journalDir, spillDir: join(place.folder, 'spills') },
    });
    this.#all.push(started);
    if (role === 'gateway') this.#lives.push(started);
    return started;
  }

  get #gateways(): JournalProcess[] {
    return this.#all.slice(0, 2);
  }

  /** Kills a process, and starts another in its place. @param index 0 and 1 are gateways */
  async #replace(index: number): Promise<void> {
    await this.#all[index]!.kill();
    const started = this.#start(index < 2 ? 'gateway' : 'writer');
    this.#all.pop();
    this.#all[index] = started;
  }

  /** Kills so many under load, each kind once before one comes again. */
  async kill(kills: number, seed: Seed): Promise<void> {
    const kinds: ('gateway' | 'writer' | 'broker')[] = [];
    await this.#isAccepting();
    for (let kill = 0; kill < kills; kill++) {
      if (kinds.length === 0) kinds.push('gateway', 'writer', 'broker');
      const [victim] = kinds.splice(seed.integer(0, kinds.length - 1), 1);
      const which = seed.integer(0, victim === 'broker' ? 2 : 1);
      process.stdout.write(`kill ${kill + 1}: ${victim} ${which}\n`);
      if (victim === 'broker') await this.#killBroker(which, seed.integer(0, 3000));
      else await this.#replace(victim === 'gateway' ? which : 2 + which);
      await this.#isAccepting();
      await pause(seed.integer(0, 2000));
    }
  }

  async #killBroker(which: number, awayMs: number): Promise<void> {
    const { brokers } = this.#parts;
    await brokers.signal(which, 'SIGKILL');
    await pause(awayMs);
    await brokers.restart(which);
  }

  async #isAccepting(): Promise<void> {
    await Promise.all(this.#gateways.map((gateway) => gateway.isDurable(RATE)));
  }

  /** Ends the load, waits for the last entry, and looks at each: none lost, none twice. */
  async check(): Promise<void> {
    const { database } = this.#parts.place;
    for (const gateway of this.#gateways) gateway.signal('SIGUSR2');
    await expect.poll(() => this.#isSettled(), { timeout: DRAIN_MS, interval: 500 }).toBe(true);
    const { entries, lost, twice } = await countEntries((sql) => database.sql(sql), this.#lives);
    process.stdout.write(`${entries} entries, ${lost} lost, ${twice} twice\n`);
    expect({ lost, twice }).toEqual({ lost: 0, twice: 0 });
    expect(entries).toBeGreaterThan(2 * RATE);
    for (const each of this.#all) assertConservation(each.stats!);
    for (const { refusals } of this.#lives) expect(refusals).toEqual([]);
  }

  /** Nothing is in a channel, in a journal, in the stream or in flight any more. */
  async #isSettled(): Promise<boolean> {
    const areIdle = (): boolean =>
      this.#all.every(({ stats }) => stats !== undefined && stats.depth + stats.inFlight === 0);
    if (!areIdle() || (await this.#left()).length > 0) return false;
    return (await this.#parts.waiting().catch(() => 1)) === 0 && areIdle();
  }

  /** Journals of gateways that were killed. */
  async #left(): Promise<string[]> {
    const names = await readdir(join(this.#journalDir, 'default')).catch(() => []);
    return names.filter((name) => !this.#gateways.some(({ run }) => name.startsWith(run)));
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map((each) => each.kill()));
    await this.#parts.brokers.stop();
  }
}

/** Kills so many of a fleet under load. @throws if an entry is lost or in the table twice */
export async function loseNothing(
  parts: StreamFleetParts,
  kills: number,
  seed: Seed,
): Promise<void> {
  await dropLedger(parts.place.database);
  const fleet = new StreamFleet(parts);
  try {
    await fleet.kill(kills, seed);
    await fleet.check();
  } finally {
    await fleet.end();
  }
}
