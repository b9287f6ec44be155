import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findFreePort } from '@app/embedded-postgres';
import {
  createRowEncoder,
  describeSinkConformance,
  rowBatch,
  type SinkSubject,
  isLedgerError,
} from 'nestjs-ledger/sink';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTcpProxy } from '../../libs/ledger/src/postgres/fixtures/tcp-proxy.fixture.js';
import { transpileFolder } from '../../test/support/transpile.js';
import { Collector, type CollectorOptions } from './src/collector.js';
import { HttpSink } from './src/http.sink.js';
import { usage } from './src/usage.ledger.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ATTEMPT = { timeoutMs: 5_000, isAwaited: false, mayExist: false };
const encode = createRowEncoder(usage);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'own-sink-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A sink and its collector, with a network between them that can fall silent. */
async function makeSubject(): Promise<SinkSubject> {
  const refused = new Set<unknown>();
  const ruleOf = ({ memo }: Record<string, unknown>): string | undefined =>
    refused.has(memo) ? 'memo is not allowed' : undefined;
  const collector = await Collector.open({ file: join(folder, 'entries.ndjson'), ruleOf });
  const network = await startTcpProxy(`http://127.0.0.1:${await collector.listen(0)}`);
  const sink = new HttpSink({ definition: usage, url: network.url });
  return {
    sink,
    row: (uuid, memo) => encode({ userId: 1, uuid, memo, createdAt: new Date(1_767_225_600_000) }),
    stored: async () =>
      new Map(collector.entries().map(({ uuid, memo }) => [uuid as string, memo as string])),
    refuse: async (memo) => void refused.add(memo),
    async block() {
      network.isFrozen = true;
      return async () => void (network.isFrozen = false);
    },
    async dispose() {
      await sink.close();
      await network.close();
      await collector.close();
    },
  };
}

describeSinkConformance('NDJSON over HTTP', makeSubject, {
  level: 'exactly-once',
  runner: { describe, it },
});

describe('the answers of a collector', () => {
  let collector: Collector;
  let sink: HttpSink;
  const batch = rowBatch([encode({ userId: 1 }), encode({ userId: 2, memo: 'poison' })]);

  async function open(options: Partial<CollectorOptions>, token?: string): Promise<void> {
    collector = await Collector.open({ file: join(folder, 'entries.ndjson'), ...options });
    const url = `http://127.0.0.1:${await collector.listen(0)}`;
    sink = new HttpSink({ definition: usage, url, ...(token === undefined ? {} : { token }) });
  }
  afterEach(async () => {
    await sink.close();
    await collector.close();
  });

  it('halt the ledger if the token is wrong, and nothing is kept', async () => {
    await open({ token: 'right' }, 'wrong');
    await expect(sink.prepare()).rejects.toSatisfy((error) => isLedgerError(error, 'SINK_HALT'));
    await expect(sink.write(batch, ATTEMPT)).rejects.toSatisfy((error) =>
      isLedgerError(error, 'SINK_HALT'),
    );
    expect(collector.size).toBe(0);
  });

  it('name the row at fault and its rule', async () => {
    await open({ ruleOf: ({ memo }) => (memo === 'poison' ? 'memo is not allowed' : undefined) });
    const error: unknown = await sink.write(batch, ATTEMPT).catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'SINK_ROW') && error).toMatchObject({
      rowNumber: 2,
      subject: 'memo is not allowed',
    });
  });

  it('let the writer halve a body that is too long', async () => {
    await open({ maxBodyBytes: 500 });
    const error: unknown = await sink.write(batch, ATTEMPT).catch((reason: unknown) => reason);
    expect(isLedgerError(error, 'SINK_ROW') && error.rowNumber).toBe(undefined);
    expect(isLedgerError(error, 'SINK_ROW')).toBe(true);
    const half = rowBatch([batch.row(0)]);
    expect(await sink.write(half, ATTEMPT)).toMatchObject({ written: 1 });
  });

  it('are known to be none where no connection stood, and unknown otherwise', async () => {
    await open({});
    const nowhere = new HttpSink({
      definition: usage,
      url: `http://127.0.0.1:${await findFreePort()}`,
    });
    const away: unknown = await nowhere.write(batch, ATTEMPT).catch((reason: unknown) => reason);
    expect(isLedgerError(away, 'SINK_TRANSIENT') && away).toMatchObject({
      outcomeKnown: true,
      sqlState: 'ECONNREFUSED',
    });
    const writing = sink.write(batch, ATTEMPT).catch((reason: unknown) => reason);
    await sink.close();
    const cut = await writing;
    expect(isLedgerError(cut, 'SINK_TRANSIENT') && cut.outcomeKnown).toBe(false);
  });
});

describe('the application, in a process of its own', () => {
  let dist: string;
  let collectorPort: number;
  let collector: Program | undefined;
  let app: Program | undefined;

  beforeAll(async () => {
    await promisify(execFile)(process.execPath, ['scripts/build-if-stale.js'], { cwd: ROOT });
    dist = await transpileFolder(fileURLToPath(new URL('./src', import.meta.url)));
    collectorPort = await findFreePort();
  }, 240_000);
  afterEach(async () => {
    await app?.kill();
    await collector?.kill();
  });
  afterAll(() => rm(fileURLToPath(dist), { recursive: true, force: true }));

  async function startCollector(): Promise<Program> {
    const environment = { COLLECTOR_PORT: `${collectorPort}`, COLLECTOR_FILE: 'entries.ndjson' };
    const started = new Program('collector.main.js', environment);
    await started.says(/collector listens on/);
    return started;
  }

  async function startApp(environment: Record<string, string> = {}): Promise<string> {
    const port = await findFreePort();
    app = new Program('main.js', {
      PORT: `${port}`,
      COLLECTOR_URL: `http://127.0.0.1:${collectorPort}`,
      LEDGER_ASYNC_FLUSH_MS: '20',
      LEDGER_ASYNC_RETRY_MAX_MS: '200',
      ...environment,
    });
    const url = `http://127.0.0.1:${port}`;
    await vi.waitFor(() => fetch(url), 20_000);
    return url;
  }

  /** A process of this example; it runs where its files may lie. */
  class Program {
    output = '';
    readonly #child: ChildProcess;
    readonly #exited: Promise<unknown[]>;

    constructor(script: string, environment: Record<string, string>) {
      const { PATH, HOME } = process.env;
      this.#child = spawn(process.execPath, [fileURLToPath(new URL(script, dist))], {
        cwd: folder,
        env: { PATH, HOME, NO_COLOR: '1', ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      this.#exited = once(this.#child, 'exit');
      for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
        stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
      }
    }

    async says(text: RegExp): Promise<void> {
      await vi.waitFor(() => expect(this.output).toMatch(text), 20_000);
    }

    async terminate(): Promise<void> {
      this.#child.kill('SIGTERM');
      await this.#exited;
    }

    async kill(): Promise<void> {
      this.#child.kill('SIGKILL');
      await this.#exited;
    }
  }

  /** Asks for one translation. @returns whether it was answered */
  async function translate(url: string, user: number): Promise<boolean> {
    const response = await fetch(`${url}/translations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, text: 'good day' }),
    });
    return response.status === 201;
  }

  /** Users of the collector's file, one for each line. */
  async function usersKept(): Promise<string[]> {
    const lines = (await readFile(join(folder, 'entries.ndjson'), 'utf8')).split('\n');
    return lines
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { userId: string }).userId)
      .sort((one, other) => Number(one) - Number(other));
  }

  it('has every answered call at the collector once, which is killed twice under load', async () => {
    collector = await startCollector();
    const url = await startApp();
    const answered: string[] = [];
    let user = 0;
    let isOver = false;
    const load = async (): Promise<void> => {
      while (!isOver) {
        const id = ++user;
        if (await translate(url, id)) answered.push(`${id}`);
      }
    };
    const clients = [load(), load(), load()];
    for (let kills = 0; kills < 2; kills++) {
      const before = answered.length;
      await vi.waitFor(() => expect(answered.length).toBeGreaterThan(before + 100), 20_000);
      await collector.kill();
      await app!.says(/writing fails: the collector does not answer/);
      const without = answered.length;
      await vi.waitFor(() => expect(answered.length).toBeGreaterThan(without + 50), 20_000);
      collector = await startCollector();
    }
    isOver = true;
    await Promise.all(clients);
    await app!.terminate();
    expect(app!.output).toMatch(/drained: \d+ written, \d+ duplicate, 0 dead-lettered, 0 spilled/);
    expect(answered.length).toBeGreaterThan(300);
    expect(await usersKept()).toEqual(answered.sort((one, other) => Number(one) - Number(other)));
  }, 120_000);

  it('sends at SIGTERM what it holds, and spills what the collector does not take', async () => {
    collector = await startCollector();
    const url = await startApp({ LEDGER_ASYNC_FLUSH_MS: '60000' });
    for (const user of [1, 2, 3]) expect(await translate(url, user)).toBe(true);
    expect(await usersKept()).toEqual([]);
    await app!.terminate();
    expect(app!.output).toContain('drained: 3 written');
    expect(await usersKept()).toEqual(['1', '2', '3']);

    const again = await startApp({ LEDGER_ASYNC_SHUTDOWN_TIMEOUT_MS: '1000' });
    await collector.kill();
    expect(await translate(again, 4)).toBe(true);
    await app!.terminate();
    expect(app!.output).toMatch(/1 entries could not be written in time and were spilled to/);
    expect(await usersKept()).toEqual(['1', '2', '3']);
  }, 120_000);
});
