import { writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { verify } from '../../../libs/ledger/src/cli/verify.command.js';
import { BrokerNetwork } from './broker-network.js';
import { QUIET } from './nothing-lost.js';
import type { Seed } from './seed.js';
import { FleetPlace, withFleet, type StreamBrokers, type StreamFleet } from './stream-fleet.js';

export const BROKERS = 3;
/** Faults of a run. */
export const DRAWS = Number(process.env['LEDGER_STREAM_DRAWS'] ?? 3);
/** Entries a second of each of two gateways. */
export const RATE = Number(process.env['LEDGER_STREAM_RATE'] ?? 3000);
/** A file for what was found, as JSON. */
export const COUNTS = process.env['LEDGER_SOAK_COUNTS'];
const FAULTS = [
  ...['gateway', 'writer', 'broker', 'leader', 'postgres'],
  ...['pause of a process', 'pause of a broker'],
] as const;
const PARTITION = 'partition';

/** What the spec file of an engine has for all its runs. */
export class FaultSite {
  private constructor(
    readonly place: FleetPlace,
    /** Undefined: servers are on this machine's own network, and none can be cut off. */
    readonly network: BrokerNetwork | undefined,
  ) {}

  static async make(): Promise<FaultSite> {
    const hasNetwork = BrokerNetwork.isAvailable();
    const place = await FleetPlace.make();
    return new FaultSite(place, hasNetwork ? BrokerNetwork.create(BROKERS) : undefined);
  }

  /** In place of the partitions that can't be tested here, one test says so. */
  static skipPartitions(): void {
    if (!BrokerNetwork.isAvailable()) {
      it.skip('partitions of a broker (needs root, and ip netns)');
    }
  }

  async remove(): Promise<void> {
    this.network?.dispose();
    await this.place.remove();
  }
}

/** A run: its fleet under load, and what draws its faults. */
interface FaultRun<Brokers extends StreamBrokers> {
  readonly site: FaultSite;
  readonly brokers: Brokers;
  readonly seed: Seed;
}

/**
 * Draws faults of gateways, writers, brokers and PostgreSQL under load, and expects each entry once in the table, and
 * nothing missing by `verify --stream`.
 */
export async function surviveFaults<Brokers extends StreamBrokers>(
  run: FaultRun<Brokers>,
  start: () => StreamFleet<Brokers>,
): Promise<void> {
  const { place, network } = run.site;
  await withFleet(place, start, async (fleet) => {
    const deck = run.seed.deck([...FAULTS, ...(network === undefined ? [] : [PARTITION])]);
    for (let draw = 0; draw < DRAWS; draw++) {
      await strike(deck.next().value, fleet, run);
      await fleet.goesOn();
    }
    const counts = await fleet.losesNothing();
    if (COUNTS !== undefined) await writeFile(COUNTS, JSON.stringify({ done: DRAWS, ...counts }));
    await expectNoHole(fleet, place);
  });
}

/** Lets one fault happen, and ends it. */
async function strike<Brokers extends StreamBrokers>(
  fault: string,
  fleet: StreamFleet<Brokers>,
  { site: { place, network }, brokers, seed }: FaultRun<Brokers>,
): Promise<void> {
  const broker = seed.integer(0, BROKERS - 1);
  const [one, ms] = [seed.integer(0, 1), seed.integer(0, 4000)];
  process.stdout.write(`${fault} (broker ${broker}, process ${one}, ${ms} ms)\n`);
  if (fault === 'gateway') return fleet.replace(one);
  if (fault === 'writer') return fleet.replace(2 + one);
  if (fault === 'postgres') {
    await place.database.kill();
    await pause(ms);
    return place.database.restart();
  }
  if (fault === PARTITION) {
    network!.cut(broker);
    await pause(2 * ms);
    return network!.heal(broker);
  }
  const { [seed.integer(0, 3)]: process_ } = fleet.all;
  // Longer than a writer may be silent, in half of the draws.
  if (fault === 'pause of a process') return hold((name) => process_!.signal(name), 2 * ms);
  if (fault === 'pause of a broker') return hold((name) => brokers.signal(broker, name), ms);
  const leader = fault === 'leader' ? await fleet.leader().catch(() => broker) : broker;
  const victim = leader ?? broker;
  await brokers.signal(victim, 'SIGKILL');
  await pause(ms);
  await brokers.restart(victim);
}

/** Stops a process for a while, as a machine does that is paused. */
async function hold(
  signal: (name: 'SIGSTOP' | 'SIGCONT') => void | Promise<void>,
  ms: number,
): Promise<void> {
  await signal('SIGSTOP');
  await pause(ms);
  await signal('SIGCONT');
}

/** `verify --stream` finds each entry before the last one that is known to be on file. */
async function expectNoHole(
  { lives: gateways, journalDir, url }: StreamFleet,
  { database, spillDir }: FleetPlace,
): Promise<void> {
  const files = [spillDir];
  const at = { databaseUrl: database.url, journalDir, files, grace: 0, stream: url };
  const { runs } = await verify(at, QUIET);
  const lives = new Map(gateways.map((life) => [life.run, life]));
  for (const { run, missingRanges } of runs) {
    const life = lives.get(run);
    const onFile = life === undefined ? Infinity : life.durable - life.first;
    expect(missingRanges.filter(({ from }) => from < onFile)).toEqual([]);
  }
}
