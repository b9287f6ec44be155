import { Logger, NotFoundException } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { LedgerDefinition } from '../define-ledger.js';
import { LedgerHealthIndicator } from '../health/ledger-health.indicator.js';
import { LedgerService } from '../ledger.service.js';
import { getLedgerHealthToken } from '../ledger.tokens.js';
import type { Clock } from '../clock/clock.js';
import { DashboardFeed, type FeedFacts } from './dashboard-feed.js';
import { dashboardPage } from './dashboard-page.js';
import type { HealthAnswer } from './frame-maker.js';

/** The ledgers of one dashboard, with a feed of each, made at its first view. @internal */
export class DashboardLedgers {
  readonly #modules: ModulesContainer;
  readonly #clock: Clock;
  readonly #wanted: readonly LedgerDefinition[] | undefined;
  readonly #feeds = new Map<string, DashboardFeed>();
  readonly #logger = new Logger('ledger-dashboard');
  #ledgers: ReadonlyMap<string, LedgerService> | undefined;
  #isClosed = false;

  /** @param wanted undefined: every ledger of the application */
  constructor(
    modules: ModulesContainer,
    clock: Clock,
    wanted: readonly LedgerDefinition[] | undefined,
  ) {
    this.#modules = modules;
    this.#clock = clock;
    this.#wanted = wanted;
  }

  /** @throws Error at boot that names a ledger missing in the application */
  onApplicationBootstrap(): void {
    const found = new Map(
      [...instancesOf(this.#modules, LedgerService)].map((each) => [each.name, each]),
    );
    const names = this.#wanted?.map(({ name }) => name) ?? [...found.keys()].sort();
    this.#ledgers = new Map(names.map((name) => [name, found.get(name) ?? missing(name, found)]));
  }

  /** Connections end before the HTTP server waits for them; the drain is shown until now. */
  beforeApplicationShutdown(): void {
    this.#isClosed = true;
    for (const feed of this.#feeds.values()) feed.close();
  }

  /**
   * @param name undefined: the first ledger
   * @throws NotFoundException if there is none of that name
   */
  feedOf(name: string | undefined): { readonly feed: DashboardFeed; readonly facts: FeedFacts } {
    const ledgers = [...(this.#ledgers?.keys() ?? [])];
    const ledger = name ?? ledgers[0];
    const service = this.#ledgers?.get(ledger ?? '');
    if (service === undefined) throw new NotFoundException('no such ledger');
    let feed = this.#feeds.get(service.name);
    if (feed === undefined) {
      feed = this.#makeFeed(service);
      this.#feeds.set(service.name, feed);
      if (this.#isClosed) feed.close();
    }
    return { feed, facts: { ledger: service.name, ledgers, build: dashboardPage().build } };
  }

  #makeFeed(service: LedgerService): DashboardFeed {
    const health = this.#healthOf(service.name);
    return new DashboardFeed(
      {
        stats: () => service.stats(),
        onFlush: (listener) => service.onFlush(listener),
        health: () => answerOf(health),
        environment: () => service.surroundings(),
        failed: (error) => this.#logger.error(error),
      },
      this.#clock,
    );
  }

  #healthOf(name: string): LedgerHealthIndicator {
    const token = getLedgerHealthToken({ name });
    for (const module of this.#modules.values()) {
      const instance: unknown = module.providers.get(token)?.instance;
      if (instance instanceof LedgerHealthIndicator) return instance;
    }
    throw new Error(`the ledger '${name}' has no health indicator`);
  }
}

async function answerOf(indicator: LedgerHealthIndicator): Promise<HealthAnswer> {
  const { ledger } = await indicator.isHealthy('ledger');
  const { status, degraded, reason, database } = ledger;
  return { health: degraded ? 'degraded' : status, healthReason: reason ?? null, database };
}

/** Each instance once, for any number of tokens. */
function instancesOf<T>(modules: ModulesContainer, type: abstract new (...args: never[]) => T) {
  const instances = new Set<T>();
  for (const module of modules.values()) {
    for (const { instance } of module.providers.values()) {
      if (instance instanceof type) instances.add(instance);
    }
  }
  return instances;
}

function missing(name: string, found: ReadonlyMap<string, unknown>): never {
  const known = [...found.keys()].join(', ') || 'none';
  throw new Error(
    `LedgerDashboardModule: the application has no ledger '${name}' (it has: ${known})`,
  );
}
