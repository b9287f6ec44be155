import {
  Logger,
  type INestApplication,
  type LoggerService,
  type ModuleMetadata,
} from '@nestjs/common';
import { APP_INTERCEPTOR, type AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type Socket } from 'node:net';
import { LedgerInterceptor } from '../../libs/ledger/src/metering/ledger.interceptor.js';
import type { UsageCall } from '../../libs/ledger/src/metering/usage-call.interface.js';
import type { UsageRecorder } from '../../libs/ledger/src/ports/usage-recorder.interface.js';
import { getLedgerToken } from '../../libs/ledger/src/ledger.tokens.js';

export const ADAPTERS = ['express', 'fastify'] as const;
export type AdapterName = (typeof ADAPTERS)[number];

const ADAPTER_CLASSES = { express: ExpressAdapter, fastify: FastifyAdapter };

/** A ledger that keeps what it is given; `gate` is what `recordAndWait` waits for. */
export class RecordingLedger implements UsageRecorder {
  overflow: 'drop' | 'block' = 'drop';
  isJournaled = false;
  gate: Promise<unknown> = Promise.resolve();
  /** What the journal has still to write; undefined: nothing. */
  unwritten: Promise<void> | undefined;
  readonly recorded: unknown[] = [];
  readonly awaited: { entry: unknown; until: string }[] = [];
  readonly mapperErrors: unknown[] = [];

  record(entry: unknown): string {
    this.recorded.push(entry);
    return 'queued';
  }

  recordMany(entries: readonly unknown[]): void {
    this.recorded.push(...entries);
  }

  async recordAndWait(entry: unknown, { until }: { until: string }): Promise<void> {
    this.awaited.push({ entry, until });
    await this.gate;
  }

  untilDurable(): Promise<void> | undefined {
    return this.unwritten;
  }

  countMapperError(error: unknown): void {
    this.mapperErrors.push(error);
  }
}

/** The calls of a mapper, in order; `map` makes one entry of each. */
export class CallLog {
  private calls: UsageCall<unknown>[] = [];
  private waiters: { count: number; resolve: () => void }[] = [];

  readonly map = (call: UsageCall<unknown>): { userId: number } => {
    this.calls.push(call);
    for (const waiter of this.waiters) if (this.calls.length >= waiter.count) waiter.resolve();
    return { userId: this.calls.length };
  };

  get all(): readonly UsageCall<unknown>[] {
    return this.calls;
  }

  get ends(): string[] {
    return this.calls.map((call) => call.end);
  }

  /** Resolves once there were that many calls, which may be after the client has its answer. */
  reach(count: number): Promise<void> {
    if (this.calls.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push({ count, resolve }));
  }

  clear(): void {
    this.calls = [];
    this.waiters = [];
  }
}

/** A promise and what settles it. */
export function latch<T = void>(): {
  promise: Promise<T>;
  open: (value: T) => void;
  fail: (error: unknown) => void;
} {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => ((open = resolve), (fail = reject)));
  return { promise, open, fail };
}

/** An application that listens on a free port. */
export class RecordedApp {
  readonly lines: string[] = [];
  port = 0;

  private constructor(
    readonly nest: INestApplication,
    readonly ledger: RecordingLedger,
  ) {}

  /**
   * @param configure called before the application is initialised
   * @param isGlobal false to have no interceptor but those that handlers and controllers name
   */
  static async start(
    adapter: AdapterName | AbstractHttpAdapter,
    module: ModuleMetadata,
    configure: (app: INestApplication) => void = () => undefined,
    { isGlobal = true } = {},
  ): Promise<RecordedApp> {
    const ledger = new RecordingLedger();
    const testing = await Test.createTestingModule({
      ...module,
      providers: [
        { provide: getLedgerToken(), useValue: ledger },
        ...(isGlobal ? [{ provide: APP_INTERCEPTOR, useClass: LedgerInterceptor }] : []),
        ...(module.providers ?? []),
      ],
    }).compile();
    const nest = testing.createNestApplication(
      typeof adapter === 'string' ? new ADAPTER_CLASSES[adapter]() : adapter,
    );
    const app = new RecordedApp(nest, ledger);
    nest.useLogger(keepLines(app.lines));
    configure(nest);
    await nest.listen(0, '127.0.0.1');
    app.port = ((nest.getHttpServer() as Server).address() as AddressInfo).port;
    return app;
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, { redirect: 'manual', ...init });
  }

  /** Sends requests as they are on one connection, and nothing else. */
  async dial(...paths: string[]): Promise<Socket> {
    const socket = connect(this.port, '127.0.0.1');
    // A server that destroys the connection is no fault of a test.
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: ledger\r\n\r\n`).join(''));
    return socket;
  }

  /**
   * Asks by HEAD on a connection that stays open. Not by fetch(), which hangs up after a HEAD, now
   * and then before the response has finished. @returns the connection and the answer's beginning
   */
  async head(path: string): Promise<{ socket: Socket; answer: string }> {
    const socket = await this.dial();
    socket.write(`HEAD ${path} HTTP/1.1\r\nHost: ledger\r\n\r\n`);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return { socket, answer: chunk.toString() };
  }

  /** After this nothing can call a mapper any more. */
  async close(): Promise<void> {
    await this.nest.close();
    Logger.overrideLogger(false);
  }
}

function keepLines(lines: string[]): LoggerService {
  const keep = (message: unknown, ...rest: unknown[]): void => {
    lines.push(`[${String(rest.at(-1))}] ${String(message)}`);
  };
  return { log: () => undefined, error: keep, warn: keep, fatal: keep };
}
