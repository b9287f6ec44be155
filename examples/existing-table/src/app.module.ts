import { Module } from '@nestjs/common';
import { createLedgerConfig, LedgerModule } from 'nestjs-ledger';
import { apiUsage } from './api-usage.ledger.js';

/** `verify`: the application changes no table; it says what is missing, and waits for it. */
const config = createLedgerConfig(apiUsage, { defaults: { migrations: 'verify' } });

@Module({ imports: [LedgerModule.forRootAsync(config.asProvider())] })
export class AppModule {}
