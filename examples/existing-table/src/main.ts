import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { getLedgerToken, type LedgerService } from 'nestjs-ledger';
import { apiUsage } from './api-usage.ledger.js';
import { AppModule } from './app.module.js';

const app = await NestFactory.createApplicationContext(AppModule);
const ledger = app.get<LedgerService<typeof apiUsage>>(getLedgerToken(apiUsage));
try {
  await ledger.recordAndWait({ userId: 1, model: 'echo-1', promptTokens: 3 });
  const { consumedTokens, entries } = await ledger.summary({ userId: 1 });
  new Logger('example').log(`user 1 spent ${consumedTokens} tokens in ${entries} entries`);
} finally {
  await app.close();
}
