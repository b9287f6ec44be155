import type { MessageEvent } from '@nestjs/common';
import { describe, expect, it } from 'vitest';
import { ledgerUnderTest, start, type LedgerUnderTest } from '../testing/ledger-under-test.js';
import { DashboardFeed, HISTORY_MS, LINGER_MS, SAMPLE_MS } from './dashboard-feed.js';
import { unpackPoint } from './dashboard-frame.interface.js';
import type { DashboardFrame, DashboardHello } from './dashboard-frame.interface.js';

interface FeedUnderTest extends LedgerUnderTest {
  readonly feed: DashboardFeed;
  readonly errors: unknown[];
  /** Number of looks at the ledger so far. */
  looks(): number;
  /** Makes the next look fail. */
  breakOnce(): void;
}

async function feedUnderTest(options: Parameters<typeof ledgerUnderTest>[0] = {}) {
  const under = ledgerUnderTest(options);
  await start(under);
  const { ledger, clock } = under;
  const errors: unknown[] = [];
  let looks = 0;
  let isBroken = false;
  const feed = new DashboardFeed(
    {
      stats: () => ledger.stats(),
      onFlush: (listener) => ledger.writer.onFlush(listener),
      health: async () => {
        looks += 1;
        if (isBroken) {
          isBroken = false;
          throw new Error('broken');
        }
        return { health: 'up', healthReason: null, database: 'up' };
      },
      environment: () => ({}),
      failed: (error) => void errors.push(error),
    },
    clock,
  );
  const breakOnce = (): void => {
    isBroken = true;
  };
  return { ...under, feed, errors, looks: () => looks, breakOnce } satisfies FeedUnderTest;
}

interface Viewer {
  readonly events: MessageEvent[];
  readonly isOver: () => boolean;
  readonly leave: () => void;
}

function look({ feed }: { feed: DashboardFeed }, lastEventId?: string): Viewer {
  const events: MessageEvent[] = [];
  let isOver = false;
  const facts = { ledger: 'default', ledgers: ['default'], build: 'b' };
  const subscription = feed.watch(facts, lastEventId).subscribe({
    next: (event) => events.push(event),
    complete: () => (isOver = true),
  });
  return { events, isOver: () => isOver, leave: () => subscription.unsubscribe() };
}

const dataOf = <T>(event: MessageEvent | undefined): T => JSON.parse(event?.data as string) as T;
const typesOf = ({ events }: Viewer): (string | undefined)[] => events.map(({ type }) => type);

describe('DashboardFeed', () => {
  it('shows the figures of auto, and the fill of its batches', async () => {
    const under = await feedUnderTest({ profile: 'auto' });
    const viewer = look(under);
    for (let i = 0; i < 2_500; i++) under.ledger.intake.offer({ userId: 1 });
    await under.clock.advance(2 * SAMPLE_MS);
    const frame = viewer.events.findLast(({ type }) => type === 'frame');
    const { now } = dataOf<DashboardFrame>(frame);
    expect(now.auto).toMatchObject({ batch: 10_000, workers: under.ledger.writer.numWorkers });
    expect(now.recent).toMatchObject({ batches: 1, fill: 0.25 });
    viewer.leave();
  });

  it('does not look at the ledger, and has no timer, without a viewer', async () => {
    const under = await feedUnderTest();
    const timers = under.clock.pendingTimers;
    await under.clock.advance(60_000);
    expect([under.looks(), under.clock.pendingTimers]).toEqual([0, timers]);
    expect(under.feed.isRunning).toBe(false);
  });

  it('greets with the present state, and then reports once a second', async () => {
    const under = await feedUnderTest({ batchSize: 2, flushMs: 10 });
    const viewer = look(under);
    await under.clock.turn();
    expect(typesOf(viewer)).toEqual(['hello']);
    const hello = dataOf<DashboardHello>(viewer.events[0]);
    expect(hello).toMatchObject({ ledger: 'default', build: 'b', now: { state: 'running' } });
    expect(hello.settings['batchSize']).toEqual({ value: 2, source: 'code' });
    expect(hello.points).toHaveLength(1);
    for (let i = 0; i < 6; i += 1) under.ledger.intake.offer({ userId: 1 });
    await under.clock.advance(2 * SAMPLE_MS);
    expect(typesOf(viewer)).toEqual(['hello', 'frame', 'frame']);
    const { now, point } = dataOf<DashboardFrame>(viewer.events[2]);
    expect(now).toMatchObject({ offered: 6, queued: 6, written: 6, depth: 0 });
    expect(now.recent).toMatchObject({ batches: 3, fill: 1, due: { full: 3, old: 0 } });
    expect(unpackPoint(point)).toMatchObject({
      ...{ queuedPerSecond: 3, settledPerSecond: 3, full: 1.5, old: 0, droppedPerSecond: 0 },
    });
  });

  it('looks once a second for any number of viewers, and sends all the same frames', async () => {
    const under = await feedUnderTest();
    const viewers = [look(under), look(under), look(under)];
    await under.clock.advance(5 * SAMPLE_MS);
    expect(under.looks()).toBe(6);
    const [first, ...others] = viewers.map(({ events }) => events.at(-1));
    for (const other of others) expect(other).toBe(first);
  });

  it('sends a returning page the points that it missed, and no more', async () => {
    const under = await feedUnderTest();
    const before = look(under);
    await under.clock.advance(3 * SAMPLE_MS);
    before.leave();
    await under.clock.advance(20 * SAMPLE_MS);
    const after = look(under, before.events.at(-1)?.id);
    await under.clock.turn();
    const { points } = dataOf<DashboardHello>(after.events[0]);
    expect(points).toHaveLength(20);
    const times = points.map((point) => unpackPoint(point).at);
    expect(times[0]).toBe(
      unpackPoint(dataOf<DashboardFrame>(before.events.at(-1)).point).at + 1000,
    );
  });

  it.each(['another.7', 'nonsense', '', '00000000.99999999999999999999'])(
    'takes the id %j for that of another run, and gives all it has',
    async (id) => {
      const under = await feedUnderTest();
      look(under);
      await under.clock.advance(9 * SAMPLE_MS);
      const viewer = look(under, id);
      await under.clock.turn();
      expect(dataOf<DashboardHello>(viewer.events[0]).points).toHaveLength(10);
    },
  );

  it('keeps a bounded history', async () => {
    const under = await feedUnderTest();
    look(under);
    await under.clock.advance(2 * HISTORY_MS);
    const viewer = look(under);
    await under.clock.turn();
    const { points } = dataOf<DashboardHello>(viewer.events[0]);
    expect(points).toHaveLength(HISTORY_MS / SAMPLE_MS + 1);
  });

  it('stops a while after the last viewer left, and leaves nothing', async () => {
    const under = await feedUnderTest();
    const timers = under.clock.pendingTimers;
    const viewer = look(under);
    await under.clock.advance(SAMPLE_MS);
    viewer.leave();
    await under.clock.advance(LINGER_MS - SAMPLE_MS);
    expect(under.feed.isRunning).toBe(true);
    await under.clock.advance(3 * SAMPLE_MS);
    expect([under.feed.isRunning, under.clock.pendingTimers]).toEqual([false, timers]);
    const looks = under.looks();
    await under.clock.advance(60_000);
    expect(under.looks()).toBe(looks);
  });

  it('starts again for the next viewer, without a rate over the unwatched time', async () => {
    const under = await feedUnderTest();
    look(under).leave();
    await under.clock.advance(2 * LINGER_MS);
    for (let i = 0; i < 600; i += 1) under.ledger.intake.offer({ userId: 1 });
    await under.clock.advance(2 * LINGER_MS);
    const viewer = look(under);
    await under.clock.advance(SAMPLE_MS);
    const { point } = dataOf<DashboardFrame>(viewer.events[1]);
    expect(unpackPoint(point).queuedPerSecond).toBe(0);
  });

  it('says goodbye and ends every connection when it is closed, later ones at once', async () => {
    const under = await feedUnderTest();
    const timers = under.clock.pendingTimers;
    const early = look(under);
    await under.clock.advance(SAMPLE_MS);
    under.feed.close();
    const late = look(under);
    expect([early.isOver(), late.isOver()]).toEqual([true, true]);
    expect([typesOf(early).at(-1), typesOf(late).at(-1)]).toEqual(['closing', 'closing']);
    expect(under.clock.pendingTimers).toBe(timers);
  });

  it('ends a connection after a quarter of an hour, so that guards are checked again', async () => {
    const under = await feedUnderTest();
    const viewer = look(under);
    await under.clock.advance(15 * 60_000 + SAMPLE_MS);
    expect(viewer.isOver()).toBe(true);
  });

  it('continues after a failed look', async () => {
    const under = await feedUnderTest();
    const viewer = look(under);
    await under.clock.advance(SAMPLE_MS);
    under.breakOnce();
    await under.clock.advance(3 * SAMPLE_MS);
    expect(under.errors).toHaveLength(1);
    expect(typesOf(viewer)).toEqual(['hello', 'frame', 'frame', 'frame']);
  });

  it('greets a viewer late if the first look failed', async () => {
    const under = await feedUnderTest();
    under.breakOnce();
    const viewer = look(under);
    await under.clock.advance(2 * SAMPLE_MS);
    expect(typesOf(viewer)).toContain('hello');
  });

  it('reports when the channel will be full or drained at the present rate', async () => {
    const under = await feedUnderTest({ bufferSize: 1000, batchSize: 10, flushMs: 1 });
    under.sink.failAlways({ kind: 'transient' });
    const viewer = look(under);
    for (let second = 0; second < 5; second += 1) {
      for (let i = 0; i < 100; i += 1) under.ledger.intake.offer({ userId: 1 });
      await under.clock.advance(SAMPLE_MS);
    }
    const { now } = dataOf<DashboardFrame>(viewer.events.at(-1));
    expect(now.depth + now.inFlight).toBe(500);
    expect(now.timeToFullMs).toBeGreaterThan(4000);
    expect(now.timeToFullMs).toBeLessThan(6500);
    expect(now.drainEtaMs).toBeNull();
  });
});
