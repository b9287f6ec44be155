import { expect } from 'vitest';
import type { JournalProcess } from './journal-process.js';
import { SETTLE, withFleet, type FleetPlace, type StreamFleet } from './stream-fleet.js';

/** Entries a second of each gateway. */
export const RATE = 1000;
export const CHANGE_MS = 240_000;

/** Runs a fleet under load through what a person does to its stream, and then counts its entries. */
export async function loseNothing<Fleet extends StreamFleet>(
  place: FleetPlace,
  start: () => Fleet,
  change: (fleet: Fleet) => Promise<void>,
): Promise<void> {
  await withFleet(place, start, async (fleet) => {
    await change(fleet);
    await fleet.goesOn();
    const { entries } = await fleet.losesNothing();
    expect(entries).toBeGreaterThan(4 * RATE);
    for (const { stats } of fleet.all) {
      expect(stats).toMatchObject({ deadLettered: 0, spilled: 0, dropped: 0 });
    }
  });
}

/** All of them say something, in any order. */
export async function allSay(processes: readonly JournalProcess[], what: RegExp): Promise<void> {
  await Promise.all(processes.map((each) => each.says(what)));
}

export async function areHalted({ gateways }: StreamFleet): Promise<void> {
  for (const gateway of gateways) {
    await gateway.hasStats('a halt', ({ state }) => state === 'halted');
  }
}

/** Gateways keep what they accept, for a reason that passes without a person. */
export async function keepEntries(
  fleet: StreamFleet,
  reason: RegExp,
  change: () => Promise<unknown>,
): Promise<void> {
  const { gateways } = fleet;
  const before = gateways.map(({ lines }) => lines.length);
  await change();
  await allSay(gateways, reason);
  await fleet.goesOn();
  for (const [i, gateway] of gateways.entries()) {
    await gateway.hasStats('entries that wait', ({ depth }) => depth > 0);
    expect(gateway.stats!.state).not.toBe('halted');
    expect(gateway.lines.slice(before[i]).filter((line) => /halted/i.test(line))).toEqual([]);
  }
}

/** Withdraws the permission to publish, and deletes the stream; gives both back. */
export async function withdrawAndDelete(fleet: StreamFleet): Promise<void> {
  await fleet.denyPublishing();
  await areHalted(fleet);
  await fleet.goesOn();
  // What waits in a stream is deleted with it, so the writers take it first.
  await expect.poll(() => fleet.waiting(), SETTLE).toBe(0);
  const makeAgain = await fleet.deleteStream();
  await fleet.allowAll();
  await allSay(fleet.gateways, new RegExp(`there is no ${fleet.streamName}`));
  await areHalted(fleet);
  await fleet.goesOn();
  await makeAgain();
}
