import {
  HttpUpstream,
  LateCounts,
  LoopbackProvider,
  OpenAiErrorFilter,
  openAiValidationPipe,
  Relay,
  Upstream,
} from '@app/openai';
import { Module, type DynamicModule } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { createLedgerConfig, LedgerModule } from 'nestjs-ledger';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';
import { join } from 'node:path';
import { ChatController } from './chat/chat.controller.js';
import { MeteredCalls } from './chat/metered-calls.js';
import { PASS_THROUGH, PassThroughController } from './chat/pass-through.controller.js';
import { RepeatedCalls } from './chat/repeated-calls.js';
import { DatabaseModule } from './database/database.module.js';
import type { GatewayDatabase } from './database/gateway-database.js';
import type { GatewaySettings } from './gateway-settings.js';
import { HealthController } from './health/health.controller.js';
import { MetricsController } from './metrics/metrics.controller.js';
import { MetricsRegistry } from './metrics/metrics.registry.js';
import { PriceBook } from './prices/price-book.js';
import { usage } from './usage.ledger.js';
import { ReportFiles } from './usage/report-files.js';
import { UsageController } from './usage/usage.controller.js';

/**
 * The whole gateway. Its database is opened first, because the ledger's settings contain its
 * address.
 */
@Module({})
export class AppModule {
  static forRoot(settings: GatewaySettings, database: GatewayDatabase): DynamicModule {
    // The environment and an INI file override these values.
    const ledgerConfig = createLedgerConfig(usage, {
      defaults: {
        connection: { url: database.url },
        profile: 'auto',
        // An embedded database is running, so no request is answered before its tables exist.
        connectAtBoot: settings.databaseUrl === undefined,
        spillDir: join(settings.dataDir, 'spill'),
        journalDir: join(settings.dataDir, 'journal'),
      },
    });
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot({ ignoreEnvFile: true }),
        DatabaseModule.forRoot(database),
        LedgerModule.forRootAsync(ledgerConfig.asProvider()),
        // For a browser on this machine, and disabled in production: see its documentation.
        LedgerDashboardModule.forRoot({ path: '/' }),
        // The ledger itself logs changes of its state; a line per failed probe adds nothing.
        TerminusModule.forRoot({ logger: false }),
      ],
      controllers: [
        ChatController,
        UsageController,
        HealthController,
        MetricsController,
        ...(settings.upstreamPassThrough.length > 0 ? [PassThroughController] : []),
      ],
      providers: [
        LateCounts,
        MeteredCalls,
        MetricsRegistry,
        RepeatedCalls,
        {
          provide: ReportFiles,
          useFactory: () => new ReportFiles(join(settings.dataDir, 'reports')),
        },
        { provide: PriceBook, useFactory: () => new PriceBook(settings.pricesFile) },
        { provide: PASS_THROUGH, useValue: settings.upstreamPassThrough },
        { provide: Upstream, useFactory: () => chooseUpstream(settings) },
        {
          provide: Relay,
          inject: [Upstream],
          useFactory: (upstream: Upstream) => new Relay(upstream, settings.upstreamLingerMs),
        },
        { provide: APP_PIPE, useValue: openAiValidationPipe },
        { provide: APP_FILTER, useClass: OpenAiErrorFilter },
      ],
    };
  }
}

function chooseUpstream(settings: GatewaySettings): Upstream {
  const { upstreamBaseUrl: baseUrl, upstreamApiKey: apiKey, upstreamTimeoutMs } = settings;
  return baseUrl
    ? new HttpUpstream({ baseUrl, apiKey, timeoutMs: upstreamTimeoutMs })
    : new LoopbackProvider(settings.loopbackTokenMs);
}
