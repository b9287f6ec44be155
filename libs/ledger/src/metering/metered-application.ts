import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { OpenCalls } from '../channel/open-calls.js';
import { LedgerOptionsError } from '../errors/ledger-options.error.js';
import { getLedgerToken } from '../ledger.tokens.js';
import { onePerNest } from '../nest/one-per-nest.js';
import type { UsageRecorder } from '../ports/usage-recorder.interface.js';
import { responseModeOf } from './response-mode.js';
import type { UsageCall } from './usage-call.interface.js';
import { UsageLog } from './usage-log.js';
import type { RecordUsageMetadata, UsagePlan } from './usage-plan.js';

type Key = string | symbol;
export type Method = (...args: never[]) => unknown;

/**
 * The ledgers and objects of one application, for decorated methods. Two applications of one
 * process may share classes; each object records into its own application.
 *
 * @internal
 */
export class MeteredApplication {
  /** Open messages whose handlers have no decorator, see `watchMessageHandlers`. */
  readonly messages = new OpenCalls();
  readonly #modules: ModulesContainer;
  readonly #logs = new Map<string, UsageLog>();

  private constructor(modules: ModulesContainer) {
    this.#modules = modules;
  }

  /** The application of a Nest container. */
  static in(modules: ModulesContainer): MeteredApplication {
    let application = applications.get(modules);
    if (application === undefined) {
      application = new MeteredApplication(modules);
      applications.set(modules, application);
      containers.add(new WeakRef(modules));
    }
    return application;
  }

  /** The application that an object belongs to; undefined if Nest did not create it. */
  static of(instance: object): MeteredApplication | undefined {
    const known = owners.get(instance);
    if (known !== undefined) return known;
    const found = findOwner(instance);
    if (found !== undefined) owners.set(instance, found);
    return found;
  }

  /** Logs, once for each method, that its call was not recorded. */
  static notFound(
    type: { readonly name: string },
    key: Key,
    { options }: RecordUsageMetadata,
  ): void {
    const handler = `${type.name}.${String(key)}`;
    if (strangers.has(handler)) return;
    strangers.add(handler);
    new UsageLog(options.ledger?.name ?? 'default').notNest(handler);
  }

  /** Nest has created the object for this application. */
  adopt(instance: object): void {
    owners.set(instance, this);
  }

  /** @returns undefined while Nest has not created the ledger yet */
  plan(
    type: Type,
    key: Key,
    metadata: RecordUsageMetadata,
    method = (type.prototype as Record<Key, Method>)[key]!,
  ): UsagePlan | undefined {
    const { mapper, options } = metadata;
    const ledger = this.#ledgerFor(metadata);
    if (ledger === undefined) return undefined;
    const name = options.ledger?.name ?? 'default';
    let log = this.#logs.get(name);
    if (log === undefined) this.#logs.set(name, (log = new UsageLog(name)));
    return {
      handler: `${type.name}.${String(key)}`,
      type,
      method,
      mapper: mapper as (call: UsageCall) => unknown,
      ledger,
      guarantee: options.guarantee,
      mode: responseModeOf(type, key, method),
      log,
    };
  }

  /**
   * @throws LedgerOptionsError that names the method, if the application has no such ledger, or if
   * the method waits for a commit that a gateway cannot observe
   */
  check(type: { readonly name: string }, key: Key, metadata: RecordUsageMetadata): void {
    const { ledger, guarantee } = metadata.options;
    const token = getLedgerToken(ledger);
    const method = `@RecordUsage on ${type.name}.${String(key)}`;
    if (![...this.#modules.values()].some(({ providers }) => providers.has(token))) {
      const name = ledger?.name ?? 'default';
      const isDefault = name === 'default';
      const options = isDefault ? '' : '{ ledger } ';
      const testing = isDefault ? '' : '{ ledgers: […] }';
      throw wrong(
        method,
        name,
        `the application has no ledger '${name}'; ` +
          `import LedgerModule.forRoot(${options}…) or forRootAsync(…) for it, ` +
          `or LedgerTestingModule.forRoot(${testing}) in a test`,
      );
    }
    // At the first call Nest has not created the ledger yet.
    if (guarantee !== 'commit' || this.#ledgerFor(metadata)?.isGateway !== true) return;
    throw wrong(
      method,
      "guarantee: 'commit'",
      'a gateway publishes to a stream and cannot wait for the commit; ' +
        "use guarantee: 'durable', which waits for the journal or the stream",
    );
  }

  #ledgerFor({ options }: RecordUsageMetadata): UsageRecorder | undefined {
    const token = getLedgerToken(options.ledger);
    for (const { providers } of this.#modules.values()) {
      const instance = providers.get(token)?.instance as UsageRecorder | null | undefined;
      if (instance) return instance;
    }
    return undefined;
  }

  /** Whether an object is a provider or controller, for example one from a factory. */
  has(instance: object): boolean {
    for (const { providers, controllers } of this.#modules.values()) {
      for (const wrapper of providers.values()) if (wrapper.instance === instance) return true;
      for (const wrapper of controllers.values()) if (wrapper.instance === instance) return true;
    }
    return false;
  }
}

function wrong(name: string, value: string, rule: string): LedgerOptionsError {
  return new LedgerOptionsError([{ name, value, rule, source: 'code' }]);
}

/** Shared by both formats of the package, which may be loaded in one process. */
const applications = onePerNest(
  'metered applications',
  () => new WeakMap<ModulesContainer, MeteredApplication>(),
);
const owners = onePerNest('metered objects', () => new WeakMap<object, MeteredApplication>());
const containers = onePerNest('containers', () => new Set<WeakRef<ModulesContainer>>());
const strangers = onePerNest('strangers', () => new Set<string>());

function findOwner(instance: object): MeteredApplication | undefined {
  for (const reference of containers) {
    const modules = reference.deref();
    if (modules === undefined) containers.delete(reference);
    else if (applications.get(modules)?.has(instance)) return applications.get(modules);
  }
  return undefined;
}
