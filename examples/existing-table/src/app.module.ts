import { Module } from '@nestjs/common';
import { createLedgerConfig, defineLedger, LedgerModule } from 'nestjs-ledger';

/** The table that was there, and the column of its own that entries go on filling. */
export const apiUsage = defineLedger({ table: 'api_usage', columns: { model: 'text' } });

/** `verify`: the application changes no table; it says what is missing, and waits for it. */
const config = createLedgerConfig({ defaults: { migrations: 'verify' } });

@Module({
  imports: [LedgerModule.forRootAsync({ ledger: apiUsage, ...config.asProvider() })],
})
export class AppModule {}
