import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { HttpAdapterHost, ModuleRef, ModulesContainer } from '@nestjs/core';
import { HealthIndicatorService } from '@nestjs/terminus';
import type { Server } from 'node:http';
import { DataSource } from 'typeorm';
import { checkConfiguredLedger, configuredLedgerOf } from './config/configured-ledger.js';
import { checkRole } from './config/check-stream-options.js';
import { withFallbackDatabase } from './config/fallback-database.js';
import type { LedgerOptions, ResolvedLedgerOptions } from './config/ledger-options.interface.js';
import { resolveLedgerOptions } from './config/resolve-ledger-options.js';
import { createLedger, type PostgresLedger } from './create-ledger.js';
import { withConfiguredStream } from './create-configured-stream.js';
import { createSinkLedger, gatewaySink, type SinkLedger } from './create-sink-ledger.js';
import { createLogger } from './nest/create-logger.js';
import { defaultLedger, type LedgerDefinition } from './define-ledger.js';
import { LedgerHealthIndicator } from './health/ledger-health.indicator.js';
import { LedgerInterceptor } from './metering/ledger.interceptor.js';
import { queueWorkersIn } from './metering/queue-workers.js';
import { checkMeteredMethods, prepareApplication } from './metering/metered-classes.js';
import { watchMessageHandlers } from './metering/message-handlers.js';
import {
  checkConfigurations,
  checkStreams,
  checkTables,
  type ApplicationLedger,
} from './ledger.application.js';
import { LedgerLifecycle } from './ledger.lifecycle.js';
import { PoolShare } from './ledger.pool-share.js';
import {
  ConfigurableModuleClass,
  MODULE_OPTIONS_TOKEN,
  OPTIONS_TYPE,
  type LedgerAsyncOptions,
  type LedgerModuleExtras,
} from './ledger.module-definition.js';
import { LedgerService } from './ledger.service.js';
import { getLedgerHealthToken, getLedgerToken } from './ledger.tokens.js';
import { LedgerOptionsError } from './errors/ledger-options.error.js';
import type { LedgerLogger } from './ports/ledger-logger.interface.js';

/** The ledger with its parts; visible inside its own module only. */
const LEDGER = Symbol('nestjs-ledger/ledger');

/**
 * Provides one ledger: `LedgerService`, `LedgerHealthIndicator` and `LedgerInterceptor`. Import it
 * once for each ledger.
 *
 * @publicApi
 */
@Module({})
export class LedgerModule extends ConfigurableModuleClass {
  /** A ledger with the options given, over the built-in defaults; reads no environment. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return complete(super.forRoot(options), options);
  }

  /**
   * A ledger whose options come from `useFactory`, `useClass` or `useExisting`, or a ledger that
   * comes entirely from its configuration: `forRootAsync(usageConfig.asProvider())`.
   */
  static override forRootAsync<Made extends object = LedgerOptions>(
    options: LedgerAsyncOptions<Made>,
  ): DynamicModule {
    return complete(super.forRootAsync(options), options);
  }
}

/**
 * The facade of a global ledger. The module with the hooks stays a plain one: Nest runs the last
 * hooks of global modules last, which would be after TypeORM has closed its DataSource.
 */
@Module({})
class GlobalLedgerModule {}

function complete(module: DynamicModule, extras: LedgerModuleExtras): DynamicModule {
  const configured = configuredLedgerOf<LedgerDefinition>(extras);
  const definition = extras.ledger ?? configured ?? defaultLedger;
  const ledgerModule: DynamicModule = {
    ...module,
    providers: [...(module.providers ?? []), ...providersOf(definition, configured, extras)],
    exports: [getLedgerToken(definition), getLedgerHealthToken(definition), LedgerInterceptor],
  };
  if (extras.isGlobal !== true) return ledgerModule;
  const facade = { module: GlobalLedgerModule, global: true };
  return { ...facade, imports: [ledgerModule], exports: [ledgerModule] };
}

function providersOf(
  definition: LedgerDefinition,
  configured: LedgerDefinition | undefined,
  extras: LedgerModuleExtras,
): Provider[] {
  return [
    HealthIndicatorService,
    LedgerInterceptor,
    {
      provide: LEDGER,
      inject: [MODULE_OPTIONS_TOKEN, ModulesContainer],
      useFactory: (given: LedgerOptions, modules: ModulesContainer) => {
        const build = (all: LedgerOptions): CreatedLedger => {
          const options = withFallbackDatabase(all, hasDataSource(modules));
          const resolved = resolveLedgerOptions(options);
          const faults = checkRole(resolved);
          if (faults.length > 0) throw new LedgerOptionsError(faults);
          checkConfiguredLedger(definition, configured, options);
          return create(definition, resolved, createLogger(definition));
        };
        const all = withConfiguredStream(withStream(given, extras));
        return all instanceof Promise ? all.then(build) : build(all);
      },
    },
    {
      provide: getLedgerToken(definition),
      inject: [LEDGER],
      useFactory: ({ ledger, reader }: CreatedLedger) => new LedgerService(ledger, reader),
    },
    {
      provide: getLedgerHealthToken(definition),
      inject: [LEDGER, HealthIndicatorService],
      useFactory: ({ vitals, ledger }: CreatedLedger, service: HealthIndicatorService) =>
        new LedgerHealthIndicator(service, vitals, ledger.options),
    },
    {
      provide: LedgerLifecycle,
      inject: [LEDGER, ModuleRef, ModulesContainer, HttpAdapterHost],
      useFactory: (...deps: LifecycleDependencies) => lifecycleOf(definition, deps),
    },
  ];
}

/** Properties besides the options take precedence over them. */
function withStream(options: LedgerOptions, { stream, role }: LedgerModuleExtras): LedgerOptions {
  if (stream === undefined && role === undefined) return options;
  return { ...options, ...(stream && { stream }), ...(role && { role }) };
}

type CreatedLedger = PostgresLedger | SinkLedger;

/** On PostgreSQL, on the sink that the options give instead, or as a gateway of a stream. */
function create(
  definition: LedgerDefinition,
  options: ResolvedLedgerOptions,
  logger: LedgerLogger,
): CreatedLedger {
  const { stream, role } = options;
  const isGateway = role === 'gateway' && stream !== undefined;
  if (isGateway) {
    return createSinkLedger(definition, options, gatewaySink(definition, stream, logger), logger);
  }
  const { sink } = options;
  return sink === undefined
    ? createLedger(definition, options, logger)
    : createSinkLedger(definition, options, { sink }, logger);
}

type LifecycleDependencies = [CreatedLedger, ModuleRef, ModulesContainer, HttpAdapterHost];

function lifecycleOf(
  { name }: LedgerDefinition,
  [parts, moduleRef, modules, host]: LifecycleDependencies,
): LedgerLifecycle {
  const { ledger, database, files, partitions, rollups } = parts;
  const find = (): DataSource | undefined => findDataSource(moduleRef);
  prepareApplication(modules);
  checkMeteredMethods(modules);
  const messages = watchMessageHandlers(modules);
  return new LedgerLifecycle({
    name,
    ledger,
    files,
    pool: database && new PoolShare(ledger, database, find),
    partitions,
    rollups,
    all: () => lifecyclesIn(modules),
    checkApplication: () => {
      // Again, because factories have created further providers.
      prepareApplication(modules);
      checkMeteredMethods(modules);
      checkConfigurations(modules);
      const ledgers = ledgersIn(modules);
      checkTables(parts, ledgers, find);
      checkStreams(parts, ledgers);
    },
    queueWorkers: () => queueWorkersIn(modules),
    messages,
    httpServer: () => host.httpAdapter?.getHttpServer() as Server | undefined,
    isUnderTest: isUnderTest(process.env),
  });
}

/** Whether `findDataSource` will find one; all providers are known before the first is made. */
function hasDataSource(modules: ModulesContainer): boolean {
  return [...modules.values()].some(({ providers }) => providers.has(DataSource));
}

/** By class token; `@nestjs/typeorm` provides the default DataSource under it. */
function findDataSource(moduleRef: ModuleRef): DataSource | undefined {
  try {
    return moduleRef.get(DataSource, { strict: false });
  } catch {
    return undefined;
  }
}

function lifecyclesIn(modules: ModulesContainer): LedgerLifecycle[] {
  return [...modules.values()].flatMap((module) => {
    const instance: unknown = module.providers.get(LedgerLifecycle)?.instance;
    return instance instanceof LedgerLifecycle ? [instance] : [];
  });
}

/** Those of this copy of the package. */
function ledgersIn(modules: ModulesContainer): ApplicationLedger[] {
  return [...modules.values()].flatMap(({ providers }) => {
    const parts = providers.get(LEDGER)?.instance as ApplicationLedger | null | undefined;
    return parts ?? [];
  });
}

/** Vitest, Jest, Node's own runner, or what an application says itself. */
function isUnderTest(env: NodeJS.ProcessEnv): boolean {
  const { VITEST, JEST_WORKER_ID, NODE_TEST_CONTEXT, NODE_ENV } = env;
  return [VITEST, JEST_WORKER_ID, NODE_TEST_CONTEXT].some(Boolean) || NODE_ENV === 'test';
}
