import { Body, Controller, Get, Injectable, Module, Post } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { defaultLedger, ledgerConfig, LedgerModule } from 'nestjs-ledger'; // ledger
import { LedgerService, RecordUsage } from 'nestjs-ledger'; // ledger

/** `application`: through its own DataSource. `own`: the ledger has LEDGER_DATABASE_URL. */
const isOwn = process.env.MATRIX_DATABASE === 'own';

interface Answer {
  user: number;
  tokens: number;
}

@Injectable()
export class Meter {
  constructor(private readonly ledger: LedgerService) {}

  spend(userId: number, promptTokens: number): string {
    return this.ledger.record({ userId, promptTokens });
  }

  async read(userId: number): Promise<unknown> {
    await this.ledger.flush();
    return this.ledger.listRecent({ userId });
  }
}

@Controller('answers')
export class Answers {
  constructor(private readonly meter: Meter) {}

  @Post()
  @RecordUsage<Answer>(({ result: r }) => (r ? { userId: r.user, promptTokens: r.tokens } : null)) // ledger
  answer(@Body() { user, text }: { user: number; text: string }): Answer {
    return { user, tokens: text.split(' ').length };
  }

  @Get()
  read(): Promise<unknown> {
    return this.meter.read(7);
  }
}

const database = TypeOrmModule.forRoot({
  type: 'postgres',
  url: process.env.MATRIX_DATABASE_URL,
  migrations: [...defaultLedger.migrations], // ledger
  migrationsRun: true,
});

@Module({
  imports: [
    ...(isOwn ? [] : [database]),
    LedgerModule.forRootAsync(ledgerConfig.asProvider()), // ledger
  ],
  controllers: [Answers],
  providers: [Meter],
})
export class AppModule {}
