import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject } from 'vitest';
import { replay } from '../../libs/ledger/src/cli/replay.command.js';
import { OwnSchema } from '../../libs/ledger/src/postgres/fixtures/own-schema.fixture.js';
import { assertConservation } from '../../libs/ledger/src/testing/ledger-under-test.js';
import { QUIET } from '../faults/support/nothing-lost.js';
import { HandlersApp, type Way } from './handlers-app.js';
import { HandlersLoad } from './handlers-load.js';
import { hasRedis, type RedisServer } from './redis-server.js';

/** Calls of each kind that are under way when a stop begins, unless a test says otherwise. */
const HELD = 100;
/** Where all kinds are in one process. */
export const HELD_OF_ALL = 10;

/**
 * Kinds of calls that a shutdown waits for, those of one package and one way of waiting together.
 * "plain": the handlers have no decorator and record their entries themselves.
 */
const SCENES = [
  ...[['http'], ['http-plain'], ['rpc', 'event'], ['rpc-plain', 'event-plain']],
  ...[['ws'], ['ws-plain'], ['query', 'mutation'], ['subscription']],
  ...[['interval', 'cron'], ['tracked']],
];
const QUEUES = [['bullmq'], ['bullmq-plain'], ['bull'], ['bull-plain']];
/** Those of queues only where there is a Redis. */
export const AWAITED = hasRedis ? [...SCENES, ...QUEUES] : SCENES;
/** Kinds that a shutdown does not wait for. */
export const UNAWAITED = ['subscription-plain', 'interval-plain', 'cron-plain', 'loop'];

interface SiteOptions {
  readonly redis: RedisServer | undefined;
  /** Calls of each kind that are under way when a stop begins. */
  readonly held?: number;
  /** When these are released; they go on for another 0.1 to 0.5 s. */
  readonly until?: 'stop' | 'sealed';
  readonly shutdownMs?: number;
}

/** A process for applications with handlers, its files and the schema of the application in it. */
export class HandlersSite {
  #schema: OwnSchema | undefined;
  #answered: string[] = [];

  private constructor(
    readonly app: HandlersApp,
    private readonly spillDir: string,
    private readonly held: number,
  ) {}

  static async start(options: SiteOptions): Promise<HandlersSite> {
    const { redis, held = HELD, until = 'stop', shutdownMs = 20_000 } = options;
    const spillDir = await mkdtemp(join(tmpdir(), 'ledger-handlers-'));
    const app = await HandlersApp.start({
      HELD: `${held}`,
      HELD_UNTIL: until,
      CALLERS: `${callers(held)}`,
      DATABASE: inject('databaseUrl'),
      SPILL_DIR: spillDir,
      SHUTDOWN_MS: `${shutdownMs}`,
      REDIS_PORT: `${redis?.port ?? 0}`,
    });
    return new HandlersSite(app, spillDir, held);
  }

  get schema(): OwnSchema {
    return this.#schema!;
  }

  /** Opens an application with handlers of these kinds, and stops it under their load. */
  async stopUnderLoad(kinds: readonly string[], by: Way): Promise<void> {
    const { app, held } = this;
    await this.#schema?.drop();
    this.#schema = await OwnSchema.create(inject('databaseUrl'));
    await app.open(this.schema.name, kinds);
    const load = new HandlersLoad(app);
    load.start(kinds, callers(held));
    await app.until(() => kinds.every((kind) => isUnderLoad(app, kind, held)));
    await app.stop(by);
    await load.ended();
    this.#answered = load.answered;
  }

  /** Asserts that each call that had begun came to its end, and has one row. */
  async expectOneRowEach(kinds: readonly string[]): Promise<void> {
    const { begun, ended, stats, underWay, output } = this.app;
    const written = begun.size;
    expect(underWay).toBeGreaterThanOrEqual(this.held * kinds.length);
    expect(await this.memos(), output).toEqual([...begun].sort());
    expect([...ended].sort(), output).toEqual([...begun].sort());
    expect([...begun]).toEqual(expect.arrayContaining(this.#answered));
    expect(await readdir(this.spillDir), output).toEqual([]);
    assertConservation(stats);
    expect(stats).toMatchObject({ written, queued: written, depth: 0, inFlight: 0, sealed: 0 });
  }

  /**
   * Asserts that each of these calls is in the table or in a file, once, and no other.
   *
   * @param calls default: those that came to their end before their process did
   * @returns how many were in files
   */
  async expectAllRecorded(calls: ReadonlySet<string> = this.app.ended): Promise<number> {
    const { stats, output } = this.app;
    const written = await this.memos();
    await replay(this.spillDir, this.#target, QUIET);
    const all = await this.memos();
    expect(all, output).toEqual([...calls].sort());
    assertConservation(stats);
    expect(stats).toMatchObject({ depth: 0, inFlight: 0, sealed: 0 });
    // A process that exits does not know what became of the batches in flight.
    expect(stats.written).toBeLessThanOrEqual(written.length);
    return all.length - written.length;
  }

  get #target(): { databaseUrl: string; connectionSchema: string } {
    return { databaseUrl: inject('databaseUrl'), connectionSchema: this.schema.name };
  }

  /** Memos of the rows. */
  async memos(): Promise<string[]> {
    const rows = await this.schema.query('SELECT memo FROM usage_entries');
    return rows.map(({ memo }) => String(memo)).sort();
  }

  async dispose(): Promise<void> {
    await this.app.kill();
    await this.#schema?.drop();
    await rm(this.spillDir, { recursive: true, force: true });
  }
}

/** Some calls come and go beside those that are held. */
const callers = (held: number): number => Math.ceil(held * 1.2);

function isUnderLoad(app: HandlersApp, kind: string, held: number): boolean {
  const isOfKind = (memo: string): boolean => memo.startsWith(`${kind} `);
  const begun = [...app.begun].filter(isOfKind).length;
  const ended = [...app.ended].filter(isOfKind).length;
  return begun >= callers(held) && ended >= callers(held) - held;
}
