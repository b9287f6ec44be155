import { Inject, Module, type DynamicModule, type Provider } from '@nestjs/common';
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { HealthIndicatorService } from '@nestjs/terminus';
import type { Server } from 'node:http';
import type { LedgerOptions } from '../config/ledger-options.interface.js';
import { defaultLedger, type LedgerDefinition } from '../define-ledger.js';
import type { StoredEntry } from '../entry/usage-entry.interface.js';
import { LedgerHealthIndicator } from '../health/ledger-health.indicator.js';
import { LedgerInterceptor } from '../metering/ledger.interceptor.js';
import { checkMeteredMethods, prepareApplication } from '../metering/metered-classes.js';
import { OpenConnections } from '../metering/open-connections.js';
import { LedgerService } from '../ledger.service.js';
import { getLedgerHealthToken, getLedgerToken } from '../ledger.tokens.js';
import type { Clock } from '../clock/clock.js';
import { InMemoryLedger } from './in-memory-ledger.js';
import type { InMemorySink } from './in-memory.sink.js';

/** Options of ledgers under test. @publicApi */
export interface LedgerTestingOptions {
  /** Default: the default ledger alone. */
  readonly ledgers?: readonly LedgerDefinition[];
  /**
   * Settings as for `forRoot`. By default entries are written at once, and invalid entries throw,
   * including those with unknown fields.
   */
  readonly options?: Omit<LedgerOptions, 'connection' | 'dataSource' | 'sink' | 'reader'>;
  /**
   * Default: the machine's clock. `entries()` runs the turns of a `ManualClock`, and the shutdown
   * advances it.
   */
  readonly clock?: Clock;
}

/** The ledgers under test by name; inside the module only. */
const LEDGERS = Symbol('nestjs-ledger/testing/ledgers');

/**
 * Replaces `LedgerModule` in unit tests: real ledgers, from the interceptor to the batch, over
 * sinks in memory. No database, no files. Invalid entries throw, so tests notice them.
 *
 * @example
 * const module = await Test.createTestingModule({
 *   imports: [LedgerTestingModule.forRoot()],
 *   providers: [ChatService],
 * }).compile();
 * await module.get(ChatService).answer('hello');
 * const entries = await module.get(LedgerTestingModule).entries();
 * @publicApi
 */
@Module({})
export class LedgerTestingModule {
  /** Each call creates separate ledgers; injectable everywhere. */
  static forRoot(options: LedgerTestingOptions = {}): DynamicModule {
    const ledgers = options.ledgers ?? [defaultLedger];
    const tokens = ledgers.flatMap((ledger) => [
      getLedgerToken(ledger),
      getLedgerHealthToken(ledger),
    ]);
    const all = {
      provide: LEDGERS,
      useFactory: () =>
        new Map(ledgers.map((each) => [each.name, new InMemoryLedger(each, options)])),
    };
    return {
      module: LedgerTestingModule,
      global: true,
      providers: [
        all,
        HealthIndicatorService,
        LedgerInterceptor,
        ...ledgers.flatMap((ledger) => providersOf(ledger)),
      ],
      exports: [...tokens, LedgerInterceptor],
    };
  }

  readonly #ledgers: ReadonlyMap<string, InMemoryLedger>;
  readonly #host: HttpAdapterHost;

  /** @internal */
  constructor(
    @Inject(LEDGERS) ledgers: ReadonlyMap<string, InMemoryLedger>,
    @Inject(HttpAdapterHost) host: HttpAdapterHost,
    @Inject(ModulesContainer) modules: ModulesContainer,
  ) {
    prepareApplication(modules);
    checkMeteredMethods(modules);
    this.#ledgers = ledgers;
    this.#host = host;
  }

  /** All entries of a ledger, oldest first, after a flush. */
  entries<T extends LedgerDefinition = typeof defaultLedger>(
    ledger?: T,
  ): Promise<StoredEntry<T>[]> {
    return this.#of(ledger).entries() as Promise<StoredEntry<T>[]>;
  }

  /** The sink of a ledger; it fails on request. */
  sink(ledger?: LedgerDefinition): InMemorySink {
    return this.#of(ledger).sink;
  }

  #of(ledger: LedgerDefinition | undefined): InMemoryLedger {
    const name = ledger?.name ?? 'default';
    const found = this.#ledgers.get(name);
    if (found === undefined) throw new Error(`LedgerTestingModule has no ledger '${name}'`);
    return found;
  }

  /** Watches the server's connections, for the last hook. */
  onApplicationBootstrap(): void {
    this.#connections();
  }

  /** Undefined without an HTTP server. */
  #connections(): OpenConnections | undefined {
    const server = this.#host.httpAdapter?.getHttpServer() as Server | undefined;
    return server && OpenConnections.of(server);
  }

  /** Drains like the real lifecycle, so that tests of a shutdown see the same behaviour. */
  async onModuleDestroy(): Promise<void> {
    for (const ledger of this.#ledgers.values()) await ledger.drain();
  }

  /** Seals, and settles the latest entries, including those of clients that left last. */
  async onApplicationShutdown(): Promise<void> {
    await this.#connections()?.allGone();
    for (const ledger of this.#ledgers.values()) await ledger.finish();
  }
}

type Ledgers = ReadonlyMap<string, InMemoryLedger>;

function providersOf(definition: LedgerDefinition): Provider[] {
  const { name } = definition;
  return [
    {
      provide: getLedgerToken(definition),
      inject: [LEDGERS],
      useFactory: (ledgers: Ledgers) => {
        const { ledger, reader } = ledgers.get(name)!;
        return new LedgerService(ledger, reader);
      },
    },
    {
      provide: getLedgerHealthToken(definition),
      inject: [LEDGERS, HealthIndicatorService],
      useFactory: (ledgers: Ledgers, service: HealthIndicatorService) => {
        const { ledger, vitals } = ledgers.get(name)!;
        return new LedgerHealthIndicator(service, vitals, ledger.options, ledger.clock);
      },
    },
  ];
}
