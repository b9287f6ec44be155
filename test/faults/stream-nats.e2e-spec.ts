import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findNatsPrograms,
  NatsServers,
} from '../../libs/ledger/src/nats/fixtures/nats-servers.fixture.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { FaultDatabase } from './support/fault-database.js';
import { countEntries, dropLedger } from './support/journal-entries.js';
import { buildJournalProgram, JournalProcess } from './support/journal-process.js';
import { Seed } from './support/seed.js';

const KILLS = Number(process.env['LEDGER_STREAM_KILLS'] ?? 3);
/** Entries a second of each of two gateways. */
const RATE = 3000;
/** Numbers of two lives of a gateway must not meet. */
const LIFE = 100_000_000;
/** Most that one kill takes. */
const DRAW_MS = 20_000;
/** More than the election of a leader, which takes up to six seconds. */
const DRAIN_MS = 60_000;
const programs = findNatsPrograms();

let database: FaultDatabase;
let program: string;
let folder: string;

beforeAll(async () => {
  if (programs.length === 0) return;
  program = await buildJournalProgram('stream');
  database = await FaultDatabase.start();
  folder = await mkdtemp(join(tmpdir(), 'nestjs-ledger-stream-'));
}, 300_000);
afterAll(async () => {
  await database?.dispose();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** Two gateways, two writers, three brokers. */
class Fleet {
  readonly lives: JournalProcess[] = [];
  readonly all: JournalProcess[] = [];
  readonly journalDir: string;

  constructor(
    readonly brokers: NatsServers,
    name: string,
  ) {
    this.journalDir = join(folder, name);
    for (const role of ['gateway', 'gateway', 'writer', 'writer'] as const) this.#start(role);
  }

  #start(role: 'gateway' | 'writer'): JournalProcess {
    const more = { ROLE: role, SERVERS: this.brokers.addresses.join(',') };
    const { journalDir } = this;
    const spillDir = join(folder, 'spills');
    const [first, rate] = [1 + LIFE * this.lives.length, role === 'gateway' ? RATE : 0];
    const common = { program, databaseUrl: database.url, journalDir, spillDir, sync: 'turn' };
    const started = new JournalProcess({ ...common, first, rate, more });
    this.all.push(started);
    if (role === 'gateway') this.lives.push(started);
    return started;
  }

  /** Kills a process, and starts another in its place. @param index 0 and 1 are gateways */
  async replace(index: number): Promise<void> {
    const killed = this.all[index]!;
    await killed.kill();
    const started = this.#start(index < 2 ? 'gateway' : 'writer');
    this.all.pop();
    this.all[index] = started;
  }

  get gateways(): JournalProcess[] {
    return this.all.slice(0, 2);
  }

  get writers(): JournalProcess[] {
    return this.all.slice(2);
  }

  async end(): Promise<void> {
    await Promise.all(this.all.map((each) => each.kill()));
    await this.brokers.stop();
  }
}

/** Messages that no writer is done with. */
async function waitingIn(brokers: NatsServers): Promise<number> {
  const nc = await connect({ servers: brokers.addresses });
  try {
    const { streams } = await jetstreamManager(nc, { checkAPI: false });
    return (await streams.info('ledger-default')).state.messages;
  } finally {
    await nc.close();
  }
}

describe.skipIf(programs.length === 0)('gateways, writers and brokers of NATS', () => {
  it.each(programs)(
    'lose nothing and write nothing twice, whichever of them is killed: nats-server $version',
    { timeout: 180_000 + KILLS * DRAW_MS },
    async (nats) => {
      const seed = Seed.print(`stream kills, nats-server ${nats.version}`);
      await dropLedger(database);
      const fleet = new Fleet(await NatsServers.start(nats, 3), nats.version);
      const { brokers } = fleet;
      const kinds: ('gateway' | 'writer' | 'broker')[] = [];
      try {
        await Promise.all(fleet.gateways.map((gateway) => gateway.isDurable(RATE)));
        for (let kill = 0; kill < KILLS; kill++) {
          // Each kind once before one comes again.
          if (kinds.length === 0) kinds.push('gateway', 'writer', 'broker');
          const [victim] = kinds.splice(seed.integer(0, kinds.length - 1), 1);
          const which = seed.integer(0, victim === 'broker' ? 2 : 1);
          process.stdout.write(`kill ${kill + 1}: ${victim} ${which}\n`);
          if (victim === 'broker') {
            await brokers.signal(which, 'SIGKILL');
            await pause(seed.integer(0, 3000));
            await brokers.restart(which);
          } else await fleet.replace(victim === 'gateway' ? which : 2 + which);
          await Promise.all(fleet.gateways.map((gateway) => gateway.isDurable(RATE)));
          await pause(seed.integer(0, 2000));
        }
        for (const gateway of fleet.gateways) gateway.signal('SIGUSR2');
        await expect.poll(() => isSettled(fleet), { timeout: DRAIN_MS, interval: 500 }).toBe(true);
        const { entries, lost, twice } = await countEntries(
          (sql) => database.sql(sql),
          fleet.lives,
        );
        process.stdout.write(`${entries} entries, ${lost} lost, ${twice} twice\n`);
        expect({ lost, twice }).toEqual({ lost: 0, twice: 0 });
        expect(entries).toBeGreaterThan(2 * RATE);
        for (const each of fleet.all) assertConservation(each.stats!);
        for (const { lines } of fleet.lives) {
          expect(lines.filter((line) => /^(refused|failed)/.test(line))).toEqual([]);
        }
      } finally {
        await fleet.end();
      }
    },
  );
});

/** Nothing is in a channel, in a journal, in the stream or in flight any more. */
async function isSettled(fleet: Fleet): Promise<boolean> {
  const areIdle = (): boolean =>
    fleet.all.every(({ stats }) => stats !== undefined && stats.depth + stats.inFlight === 0);
  if (!areIdle() || (await left(fleet)).length > 0) return false;
  return (await waitingIn(fleet.brokers).catch(() => 1)) === 0 && areIdle();
}

/** Journals of gateways that were killed. */
async function left({ journalDir, gateways }: Fleet): Promise<string[]> {
  const names = await readdir(join(journalDir, 'default')).catch(() => []);
  return names.filter((name) => !gateways.some(({ run }) => name.startsWith(run)));
}
