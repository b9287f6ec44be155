import { Body, Controller, Get, Module, Post } from '@nestjs/common';
import {
  HealthCheck,
  HealthCheckService,
  TerminusModule,
  type HealthCheckResult,
} from '@nestjs/terminus';
import { ledgerConfig, LedgerHealthIndicator, LedgerModule, RecordUsage } from 'nestjs-ledger';
import { LedgerDashboardModule } from 'nestjs-ledger/dashboard';

interface Translation {
  user: number;
  words: number;
  text: string;
}

@Controller('translations')
class TranslationsController {
  /** The answer goes out at once; its entry travels to a writer with the next message. */
  @Post()
  @RecordUsage<Translation>(({ result }) =>
    result ? { userId: result.user, completionTokens: result.words } : null,
  )
  translate(@Body() { user, text }: { user: number; text: string }): Translation {
    return { user, words: text.split(' ').length, text: text.toUpperCase() };
  }
}

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly ledger: LedgerHealthIndicator,
  ) {}

  /** A gateway asks its stream, and a writer its database. */
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.ledger.isReady('ledger')]);
  }
}

/** A writer's ledger refuses entries, so only a gateway has the routes that make some. */
const isWriter = process.env['LEDGER_ASYNC_ROLE'] === 'writer';

/** One image for both: role, stream, journal and database come from the environment. */
@Module({
  imports: [
    LedgerModule.forRootAsync(ledgerConfig.asProvider()),
    LedgerDashboardModule.forRoot({ path: '/ledger' }),
    TerminusModule.forRoot({ logger: false }),
  ],
  controllers: [HealthController, ...(isWriter ? [] : [TranslationsController])],
})
export class AppModule {}
