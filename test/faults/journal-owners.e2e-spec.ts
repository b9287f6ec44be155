import { execFile, spawnSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi, type TestContext } from 'vitest';
import { FaultDatabase } from './support/fault-database.js';
import { expectLaw } from './support/journal-entries.js';
import { buildJournalProgram } from './support/journal-process.js';
import { JournalSite } from './support/journal-site.js';
import { Seed } from './support/seed.js';

const RATE = 5000;
/** As long as a virtual machine may be paused; an owner counts as gone after 10 s without a sign. */
const STOPPED_MS = 15_000;

const OTHER_HOST = ['sh', '-c', 'hostname other-host && exec "$@"', 'sh'];
/** A container without anything else: a pid namespace, in which the first process has pid 1. */
const CONTAINER = unshare('--pid', '--fork', '--kill-child', '--mount-proc', '--uts');
const HOST = unshare('--uts');
const isAllowed = [CONTAINER, HOST].every(
  ([command, ...args]) => spawnSync(command!, [...args, 'true']).status === 0,
);

/** Other accounts than root may do it in a user namespace of their own. */
function unshare(...options: string[]): string[] {
  const isRoot = process.getuid?.() === 0;
  return ['unshare', ...(isRoot ? [] : ['--map-root-user']), ...options];
}

let server: FaultDatabase;
let program: string;

beforeAll(async () => {
  program = await buildJournalProgram();
  server = await FaultDatabase.start({ max_connections: 200 });
}, 300_000);
afterAll(() => server?.dispose());

/** @param test whose end is the site's: tests run at once, and Vitest's own hook can't tell them apart */
async function makeSite(test: TestContext, shared?: JournalSite): Promise<JournalSite> {
  const site = await JournalSite.make(server, program, shared);
  test.onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') process.stdout.write(`${await site.describe()}\n`);
    await site.dispose();
  });
  return site;
}

const isEmpty = (names: string[]): boolean => names.length === 0;

// Each test mostly waits, and has its own database.
describe.concurrent('the owner of a journal', { timeout: 240_000 }, () => {
  it('may be stopped for 15 s, and go on or be killed, while two others adopt', async (test) => {
    const site = await makeSite(test);
    const [goesOn, unlock] = await site.startLocked({ rate: RATE });
    const isKilled = site.start({ rate: RATE });
    await isKilled.isDurable(2000);
    for (const owner of [goesOn, isKilled]) owner.signal('SIGSTOP');
    const adopters = [site.start(), site.start()];
    const areAdopted = site.until((names) => names.every((name) => name.includes('.adopted-')));
    await Promise.all([pause(STOPPED_MS), areAdopted]);
    goesOn.signal('SIGCONT');
    // Rows waiting for the table are written again, because the adopter may or may not have read them.
    await site.until((names) => names.includes(`${goesOn.run}-2`));
    await goesOn.isDurable(1000);
    await Promise.all([goesOn.kill(), isKilled.kill()]);
    await unlock();
    await site.until(isEmpty);
    await site.expectNothingLost();
    for (const adopter of adopters) await expectLaw(adopter);
    const recovered = adopters.reduce((sum, { stats }) => sum + stats!.recovered, 0);
    expect(recovered).toBeGreaterThan(4000);
  });

  it('may be killed again and again, while it adopts, replays or starts', async (test) => {
    const site = await makeSite(test);
    const seed = Seed.print('journal adopters');
    const [owner, unlock] = await site.startLocked({ rate: 20_000 });
    await owner.isDurable(20_000);
    await owner.kill();
    const [inAdoption, inReplay] = [site.start(), site.start()];
    await site.until((names) => names.some((name) => name.includes('.adopted-')));
    const [name] = (await site.folders()).filter((each) => each.includes('.adopted-'));
    await inAdoption.kill();
    await inReplay.hasStats('rows in a batch', ({ recovered }) => recovered > 0);
    await inReplay.kill();
    expect(name).toContain(owner.run);
    for (let start = 0; start < 3; start++) {
      const app = site.start({ rate: RATE });
      await pause(seed.integer(0, 1500));
      await app.kill();
    }
    await unlock();
    const last = [site.start(), site.start()];
    await site.until(isEmpty);
    await site.expectNothingLost();
    for (const app of last) await expectLaw(app);
  });

  it.skipIf(!isAllowed)('may have pid 1 in every container', async (test) => {
    const site = await makeSite(test);
    const [owner, unlock] = await site.startLocked({ rate: RATE, inside: CONTAINER });
    expect(await site.authorOf(owner.run)).toMatchObject({ pid: 1 });
    const next = site.start({ inside: [...CONTAINER, ...OTHER_HOST] });
    await next.says(/^ready/);
    // Its pid is alive in each of the two, and says nothing about the other.
    await pause(STOPPED_MS);
    expect(await site.folders()).toEqual([owner.run]);
    await owner.kill();
    await unlock();
    await site.until(isEmpty);
    await site.expectNothingLost();
    await expectLaw(next);
    expect(next.stats!.recovered).toBeGreaterThan(0);
  });

  it.skipIf(!isAllowed)('is not judged by a /proc of another pid namespace', async () => {
    const module = new URL(
      '../../libs/ledger/dist/esm/journal/process-identity.js',
      import.meta.url,
    );
    const script = `import { isKnownGone, ownIdentity } from '${module.href}';
      process.stdout.write(String(await isKnownGone(ownIdentity())));`;
    const [command, ...args] = unshare('--pid', '--fork', '--kill-child');
    const run = [...args, process.execPath, '--input-type=module', '-e', script];
    const { stdout } = await promisify(execFile)(command!, run);
    expect(stdout).toBe('false');
  });

  it.skipIf(!isAllowed)('may come back under the name of another host', async (test) => {
    const site = await makeSite(test);
    const [owner, unlock] = await site.startLocked({ rate: RATE });
    await owner.kill();
    const { host } = await site.authorOf(owner.run);
    await unlock();
    const next = site.start({ rate: RATE, inside: [...HOST, ...OTHER_HOST] });
    await site.until((names) => names.length > 0 && names.every((name) => name === next.run));
    expect(await site.authorOf(next.run)).toMatchObject({ host: 'other-host' });
    expect(host).not.toBe('other-host');
    await next.kill();
    const last = site.start();
    await site.until(isEmpty);
    await site.expectNothingLost();
    await expectLaw(last);
  });

  it('leaves the journals of applications with other databases alone, known or not', async (test) => {
    const one = await makeSite(test);
    const two = await makeSite(test, one);
    const names = [one, two].map(({ url }) => new URL(url).pathname.slice(1));
    const allow = async (isAllowed: boolean): Promise<void> => {
      for (const name of names)
        await server.sql(`ALTER DATABASE ${name} ALLOW_CONNECTIONS ${isAllowed}`);
    };
    // Neither database was ever reached: only the address says where the entries belong.
    await allow(false);
    const unknown = [one, two].map((site) => site.start({ rate: RATE }));
    for (const app of unknown) await app.isDurable(2000);
    await Promise.all(unknown.map((app) => app.kill()));
    await allow(true);
    const known = [one.start({ rate: RATE })];
    await known[0]!.says(/belongs to another database or table/);
    const isBack = async (): Promise<void> =>
      expect(await one.count([unknown[0]!])).toMatchObject({ lost: 0, twice: 0 });
    await vi.waitFor(isBack, { timeout: 30_000, interval: 200 });
    known.push(two.start({ rate: RATE }));
    await known[1]!.hasStats('its entries', ({ recovered }) => recovered > 0);
    // And now both are known by the id that their table has.
    const unlocks = [await one.lock(), await two.lock()];
    for (const app of known) await app.isDurable(2000);
    await Promise.all(known.map((app) => app.kill()));
    for (const unlock of unlocks) await unlock();
    const last = [one.start(), two.start()];
    await one.until(isEmpty);
    for (const site of [one, two]) await site.expectNothingLost();
    for (const app of last) await expectLaw(app);
  });
});
